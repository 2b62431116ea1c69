//! `pciconf -l`.

use alloc::string::String;
use core::fmt::Write;

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

#[cfg(test)]
mod tests {
    use super::*;
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
}
