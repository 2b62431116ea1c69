use hv::DomId;

use crate::number::{NumberError, flag, parse, parse_in};
use crate::path::{check, domain, is_backend};
use crate::{Permission, Rights, StoreError};

#[test]
fn x01_only_plain_decimal_numbers_are_numbers() {
    assert_eq!(parse("0"), Ok(0u8));
    assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(parse("65535"), Ok(u16::MAX));
    let long = "1".repeat(4096);
    let cases = [
        ("", NumberError::Empty),
        ("-1", NumberError::NotDecimal),
        ("+1", NumberError::NotDecimal),
        (" 1", NumberError::NotDecimal),
        ("1 ", NumberError::NotDecimal),
        ("1\n", NumberError::NotDecimal),
        ("1\0", NumberError::NotDecimal),
        ("1\x002", NumberError::NotDecimal),
        ("0x10", NumberError::NotDecimal),
        ("ff", NumberError::NotDecimal),
        ("1e3", NumberError::NotDecimal),
        ("1.0", NumberError::NotDecimal),
        ("1_000", NumberError::NotDecimal),
        ("١", NumberError::NotDecimal),
        ("010", NumberError::LeadingZero),
        ("00", NumberError::LeadingZero),
        ("4294967296", NumberError::OutOfRange),
        ("18446744073709551616", NumberError::OutOfRange),
        ("99999999999999999999999", NumberError::OutOfRange),
        (long.as_str(), NumberError::OutOfRange),
    ];
    for (text, error) in cases {
        assert_eq!(parse::<u32>(text), Err(error), "{text:?}");
    }
}

#[test]
fn x01_a_range_is_kept_at_both_ends() {
    for (text, expected) in [
        ("511", None),
        ("512", Some(512)),
        ("4096", Some(4096)),
        ("4097", None),
    ] {
        let wanted = expected.ok_or(NumberError::OutOfRange);
        assert_eq!(parse_in(text, 512..=4096u32), wanted);
    }
    assert_eq!((flag("0"), flag("1")), (Ok(false), Ok(true)));
    assert!(flag("2").is_err() && flag("yes").is_err() && flag("").is_err());
}

#[test]
fn x02_what_is_no_path_is_never_sent() {
    for good in [
        "/",
        "a",
        "/a",
        "device/vbd/51712",
        "/local/domain/0",
        "a-b_c@d",
        "@releaseDomain",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "//",
        "a/",
        "/a/",
        "a//b",
        "..",
        "/local/../domain",
        "a.b",
        "a b",
        "a\0",
        "ä",
        "a\n",
    ] {
        assert_eq!(check(bad), Err(StoreError::BadPath), "{bad:?}");
    }
    assert_eq!(check(&"a".repeat(2048)), Ok(()));
    assert!(check(&"a".repeat(2049)).is_err());
    assert_eq!(check(&format!("/{}", "a".repeat(3071))), Ok(()));
    assert!(check(&format!("/{}", "a".repeat(3072))).is_err());
}

#[test]
fn f25_the_backend_is_where_the_protocol_puts_it() {
    let is = |path: &str| is_backend(path, DomId(3), &["vbd", "qdisk"], DomId(7), 51712);
    assert!(is("/local/domain/3/backend/vbd/7/51712"));
    assert!(is("/local/domain/3/backend/qdisk/7/51712"));
    for elsewhere in [
        "",
        "/",
        "/local/domain/4/backend/vbd/7/51712",
        "/local/domain/3/backend/vif/7/51712",
        "/local/domain/3/backend/vbd/8/51712",
        "/local/domain/3/backend/vbd/7/51728",
        "/local/domain/3/backend/vbd/7/51712/",
        "/local/domain/3/backend/vbd/7/51712/x",
        "/local/domain/3/backend/vbd/7",
        "/local/domain/3/backend/vbd/../vbd/7/51712",
        "/local/domain/03/backend/vbd/7/51712",
        "local/domain/3/backend/vbd/7/51712",
        "//local/domain/3/backend/vbd/7/51712",
        "/local/domain/7/device/vbd/51712",
        "/local/domain/3/backend/vbd/7/4294967296",
    ] {
        assert!(!is(elsewhere), "{elsewhere}");
    }
}

#[test]
fn x02_reserved_domain_numbers_are_nobodys() {
    assert_eq!(domain("0"), Some(DomId(0)));
    assert_eq!(domain("32751"), Some(DomId(32751)));
    for none in ["32752", "65535", "65536", "-1", "", "0x1"] {
        assert_eq!(domain(none), None, "{none}");
    }
}

#[test]
fn permissions_survive_their_text() {
    for text in ["n0", "r5", "w12", "b32751"] {
        assert_eq!(Permission::parse(text).unwrap().to_string(), text);
    }
    let read = Permission {
        rights: Rights::Read,
        domain: DomId(5),
    };
    assert_eq!(Permission::parse("r5"), Some(read));
    for none in ["", "r", "x5", "r-1", "r40000", "rr", "ä5", "5"] {
        assert_eq!(Permission::parse(none), None, "{none}");
    }
}
