use super::*;
use crate::model::Model;

fn read(set: &[(&str, Option<&str>)]) -> Result<Disk> {
    let mut host = Model::with_driver(5);
    host.client(7, "guest");
    host.attached(5, 7, 51712, "xvda", "md0");
    for (key, value) in set {
        host.set(&format!("/libxl/7/device/vbd/51712/{key}"), *value);
    }
    Disk::read(&mut host, 7, 51712, 5)
}

/// The same back from its line, and what `xl` is told of it.
fn through(disk: &Disk) -> String {
    let line = disk.to_string();
    assert!(!line.contains('\n'), "{line:?}");
    assert_eq!(Disk::parse(&line).unwrap(), *disk, "{line}");
    disk.xl("storage")
}

#[test]
fn a_disk_is_read_written_and_told_to_xl() {
    let disk = read(&[]).unwrap();
    assert_eq!(
        (disk.client, disk.device, disk.backend),
        (7, 51712, 5),
        "{disk}"
    );
    assert_eq!(disk.identity, "/vm/guest");
    assert_eq!(
        through(&disk),
        "format=raw,vdev=xvda,access=rw,backend=storage,target=md0"
    );
}

#[test]
fn every_field_has_its_word() {
    for (key, value, word) in [
        ("dev", "sda1", "vdev=sda1"),
        ("device-type", "cdrom", "devtype=cdrom"),
        ("discard-enable", "0", "no-discard"),
        ("direct-io-safe", "1", "direct-io-safe"),
        ("script", "/opt/block-x", "script=/opt/block-x"),
        ("params", "xbd0p2,ro", "target=xbd0p2,ro"),
    ] {
        let disk = read(&[(key, Some(value))]).unwrap();
        let said = through(&disk);
        let place = said.find(word).unwrap_or_else(|| panic!("{said}"));
        assert!(said[..place].ends_with(','), "{said}");
    }
    let disk = read(&[("mode", Some("r")), ("discard-enable", Some("0"))]).unwrap();
    assert!(through(&disk).contains(",access=ro,backend=storage,target="));
    let disk = read(&[("mode", Some("r")), ("discard-enable", Some("1"))]).unwrap();
    assert!(through(&disk).contains(",discard,"));
    // Older versions of xl write neither.
    let disk = read(&[("discard-enable", None), ("device-type", None)]).unwrap();
    assert!(disk.discard && !disk.cdrom);
}

#[test]
fn a_client_that_was_told_not_to_trust_is_told_so_again() {
    let mut host = Model::with_driver(5);
    host.client(7, "guest");
    host.attached(5, 7, 51712, "xvda", "md0");
    host.set("/local/domain/7/device/vbd/51712/trusted", Some("0"));
    let disk = Disk::read(&mut host, 7, 51712, 5).unwrap();
    assert!(through(&disk).contains(",untrusted,"));
}

#[test]
fn hostile_targets_stay_one_word_of_xl() {
    // xl takes all that follows target= for the target.
    for target in [
        "md0,backend=0,target=/dev/sda",
        "a b",
        "a'b",
        "a\"b",
        "$(reboot)",
        "`x`;|&<>",
        "target=x",
        "größe",
        "disk client=3",
    ] {
        let disk = read(&[("params", Some(target))]).unwrap();
        let said = through(&disk);
        let (_, rest) = said.split_once(",target=").unwrap();
        assert_eq!(rest, target);
        assert!(said.starts_with("format=raw,vdev=xvda,access=rw,backend=storage,"));
    }
}

#[test]
fn what_cannot_be_told_to_xl_is_refused() {
    for (key, value) in [
        ("params", ""),
        ("params", "a\nb"),
        ("params", "a\0b"),
        ("params", "a\u{85}b"),
        ("params", "a,"),
        ("params", " a"),
        ("params", "a\t"),
        ("dev", ""),
        ("dev", "xvda,access=rw"),
        ("dev", "xvda xvdb"),
        ("dev", "../xvda"),
        ("dev", "xvda\n"),
        ("dev", "-f"),
        ("mode", "x"),
        ("mode", ""),
        ("mode", "w,target=y"),
        ("device-type", "floppy"),
        ("discard-enable", "yes"),
        ("direct-io-safe", "2"),
        ("script", "block"),
        ("script", "/a,b"),
        ("script", "/a b"),
        ("script", "/a\nb"),
        ("type", "qdisk"),
    ] {
        let error = read(&[(key, Some(value))]).expect_err(value);
        let error = format!("{error:#}");
        assert!(error.contains("/libxl/7/device/vbd/51712"), "{error}");
        assert!(!error.contains('\n'), "{error:?}");
    }
    assert!(read(&[("params", Some(&"x".repeat(LONGEST + 1)))]).is_err());
    for key in ["params", "dev", "mode", "type"] {
        assert!(read(&[(key, None)]).is_err(), "{key}");
    }
}

#[test]
fn garbage_in_a_line_is_refused() {
    let good = read(&[("script", Some("/opt/x"))]).unwrap().to_string();
    assert!(Disk::parse(&good).is_ok());
    for (what, other) in [
        ("client=7", "client=-7"),
        ("client=7", "client=99999"),
        ("client=7", "client="),
        ("client=7 ", ""),
        ("device=51712", "device=x"),
        ("device=51712", "device=+51712"),
        ("device=51712", "device=99999999999"),
        ("backend=5", "backend=../5"),
        ("vdev=xvda", "vdev=xv,da"),
        ("vdev=xvda", "vdev=xv da"),
        ("mode=w", "mode=rw"),
        ("type=disk", "type=disc"),
        ("discard=1", "discard=2"),
        ("trusted=1", "trusted=yes"),
        ("script=/opt/x", "script=x"),
        ("target=md0", "target="),
        ("target=md0", "target=a,"),
        ("target=md0", ""),
        ("disk client", "disc client"),
        ("device=51712 backend=5", "backend=5 device=51712"),
    ] {
        let line = good.replace(what, other);
        assert_ne!(line, good, "{what}");
        assert!(Disk::parse(&line).is_err(), "{line}");
    }
    for end in 0..good.len() - 3 {
        assert!(Disk::parse(&good[..end]).is_err(), "{}", &good[..end]);
    }
}

#[test]
fn only_its_own_backends_path_counts() {
    assert_eq!(
        backend_of("/local/domain/5/backend/vbd/7/51712", 7, 51712),
        Some(5)
    );
    for path in [
        "/local/domain/5/backend/vbd/7/51728",
        "/local/domain/5/backend/vbd/8/51712",
        "/local/domain/5/backend/qdisk/7/51712",
        "/local/domain/5/backend/vbd/7/51712/x",
        "/local/domain/x/backend/vbd/7/51712",
        "/local/domain//backend/vbd/7/51712",
        "backend/vbd/7/51712",
        "",
    ] {
        assert_eq!(backend_of(path, 7, 51712), None, "{path}");
    }
}
