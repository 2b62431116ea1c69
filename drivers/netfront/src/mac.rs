//! An Ethernet address as the toolstack writes it.

/// The address that `text` holds: six bytes of two hexadecimal digits each, with colons between. A
/// device's own address is neither a group's nor zero.
pub(crate) fn parse(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut address {
        let part = parts.next()?;
        if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    let [first, ..] = address;
    let own = first & 1 == 0 && address != [0; 6];
    (parts.next().is_none() && own).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn f22_only_a_device_s_own_address_is_taken() {
        let good = Some([0, 0x16, 0x3e, 0xab, 0xcd, 0xef]);
        assert_eq!(parse("00:16:3e:ab:cd:ef"), good);
        assert_eq!(parse("00:16:3E:AB:CD:EF"), good);
        for bad in [
            "",
            "00:16:3e:ab:cd",
            "00:16:3e:ab:cd:ef:00",
            "00:16:3e:ab:cd:ef ",
            "00:16:3e:ab:cd:+f",
            "0:16:3e:ab:cd:ef",
            "00-16-3e-ab-cd-ef",
            "00:16:3e:ab:cd:eg",
            "01:16:3e:ab:cd:ef",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "00:16:3e:ab:cd:\u{e9}",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
