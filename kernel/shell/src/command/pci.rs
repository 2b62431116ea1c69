//! `pciconf -l`, `nvmecontrol devlist`.

use alloc::string::String;
use core::fmt::Write;

use nvme::Standing;
use pcifront::Seen;

// Writing to a String cannot fail, so the results of `write!` say nothing here.

/// Each function on a line, as FreeBSD has it: its driver, or `none`, where and what it is; and how
/// it raises interrupts.
pub(super) fn list(all: &[Seen]) -> String {
    if all.is_empty() {
        return "no PCI functions\n".into();
    }
    let mut text = String::new();
    for one in all {
        let driver = one.driver.unwrap_or("none");
        let _ = write!(text, "{driver}@pci{}:\t{}", one.address, one.id);
        if let Some(way) = one.way {
            let _ = write!(text, " {way}");
        }
        text.push('\n');
    }
    text
}

/// Each NVMe controller: what it is, how it stands, and what it said of its health.
pub(super) fn controllers(all: &[Standing]) -> String {
    if all.is_empty() {
        return "no NVMe controllers\n".into();
    }
    let mut text = String::new();
    for one in all {
        let _ = write!(text, "{} at {}", one.name, one.address);
        if !one.model.is_empty() {
            let _ = write!(
                text,
                ": {}, serial {}, firmware {}",
                one.model, one.serial, one.firmware
            );
        }
        text.push('\n');
        let live = if one.live { "live" } else { "not live" };
        let _ = writeln!(text, "    {live}, {} resets", one.resets);
        let Some(health) = &one.health else {
            continue;
        };
        let _ = writeln!(text, "    {health}");
        let _ = writeln!(
            text,
            "    {} MB read, {} MB written, {} unsafe shutdowns",
            megabytes(health.units_read),
            megabytes(health.units_written),
            health.unsafe_shutdowns
        );
    }
    text
}

/// Units of 512,000 bytes in millions of bytes.
fn megabytes(units: u128) -> u128 {
    units.saturating_mul(512) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use nvme::Health;
    use pcifront::{Address, Id, Way};

    #[test]
    fn each_function_is_listed_with_its_driver_and_its_interrupts() {
        assert_eq!(list(&[]), "no PCI functions\n");
        let nvme = Seen {
            address: Address::parse("0000:00:00.00").expect("it is one"),
            id: Id {
                vendor: 0x1b36,
                device: 0x0010,
                class: 0x01_0802,
                revision: 2,
            },
            driver: Some("nvme"),
            way: Some(Way::Intx),
        };
        let other = Seen {
            address: Address::parse("0000:00:01.00").expect("it is one"),
            driver: None,
            way: None,
            ..nvme.clone()
        };
        assert_eq!(
            list(&[nvme, other]),
            "nvme@pci0:0:0:0:\tclass=0x010802 rev=0x02 vendor=0x1b36 device=0x0010 INTx\n\
             none@pci0:0:1:0:\tclass=0x010802 rev=0x02 vendor=0x1b36 device=0x0010\n"
        );
    }

    #[test]
    fn each_controller_is_listed_with_its_health() {
        assert_eq!(controllers(&[]), "no NVMe controllers\n");
        let fresh = Standing {
            name: "nvme1".into(),
            address: "0:0:1:0".into(),
            ..Standing::default()
        };
        let known = Standing {
            name: "nvme0".into(),
            address: "0:0:0:0".into(),
            model: "QEMU NVMe Ctrl".into(),
            serial: "lab".into(),
            firmware: "10.0".into(),
            live: true,
            resets: 1,
            health: Some(Health {
                critical: 1,
                temperature: 323,
                spare: 9,
                used: 101,
                units_read: 2_000,
                units_written: u128::MAX,
                hours: 24,
                unsafe_shutdowns: 3,
                media_errors: 0,
            }),
        };
        let text = controllers(&[known, fresh]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "nvme0 at 0:0:0:0: QEMU NVMe Ctrl, serial lab, firmware 10.0",
                "    live, 1 resets",
                "    50 C, 9 % spare, 101 % used, 24 hours, 0 media errors; spare is low",
            ]
        );
        assert!(lines[3].starts_with("    1024 MB read, "));
        assert!(lines[3].ends_with(" MB written, 3 unsafe shutdowns"));
        assert_eq!(lines[4..], ["nvme1 at 0:0:1:0", "    not live, 0 resets"]);
    }
}
