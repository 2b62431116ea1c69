use core::cell::{Cell, RefCell};

use super::*;

/// 1 GHz: a tick is a nanosecond.
const GIGAHERTZ: VcpuTime = VcpuTime {
    version: 2,
    tsc_timestamp: 1000,
    system_time: 5_000_000,
    tsc_to_system_mul: 0x8000_0000,
    tsc_shift: 1,
    flags: 0,
};

#[test]
fn ticks_become_nanoseconds_in_both_directions() {
    assert_eq!(nanoseconds(&GIGAHERTZ, 1000), 5_000_000);
    assert_eq!(nanoseconds(&GIGAHERTZ, 1250), 5_000_250);
    assert_eq!(
        nanoseconds(&GIGAHERTZ, 900),
        4_999_900,
        "before Xen wrote it"
    );
    // 2.5 GHz as Xen computes it: 0.4 ns a tick.
    let fast = VcpuTime {
        tsc_to_system_mul: 0xcccc_cccd,
        tsc_shift: -1,
        ..GIGAHERTZ
    };
    assert_eq!(nanoseconds(&fast, 1000 + 2_500_000_000), 1_005_000_000);
    let slow = VcpuTime {
        tsc_shift: -2,
        ..GIGAHERTZ
    };
    assert_eq!(nanoseconds(&slow, 1000 + 80), 5_000_010);
}

#[test]
fn years_of_ticks_do_not_overflow() {
    let years = 20 * 365 * 86_400 * 1_000_000_000;
    assert_eq!(nanoseconds(&GIGAHERTZ, 1000 + years), 5_000_000 + years);
    assert_eq!(nanoseconds(&GIGAHERTZ, 0), 4_999_000);
}

/// A shared info page that Xen writes once, in the middle of the first read.
struct Changing {
    bytes: RefCell<Vec<u8>>,
    loads: Cell<u32>,
    change: fn(&mut [u8]),
}

impl Changing {
    fn new(change: fn(&mut [u8])) -> Self {
        let mut bytes = vec![0; 4096];
        let at = vcpu_info(0) + TIME;
        bytes[at..at + VCPU_TIME_SIZE].copy_from_slice(&GIGAHERTZ.encode());
        bytes[WC_VERSION..WC_VERSION + 4].copy_from_slice(&4_u32.to_le_bytes());
        bytes[WC_SEC..WC_SEC + 4].copy_from_slice(&7_u32.to_le_bytes());
        bytes[WC_NSEC..WC_NSEC + 4].copy_from_slice(&9_u32.to_le_bytes());
        Self {
            bytes: RefCell::new(bytes),
            loads: Cell::new(0),
            change,
        }
    }
}

impl SharedMem for Changing {
    fn len(&self) -> usize {
        4096
    }
    fn read(&self, offset: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes.borrow()[offset..offset + into.len()]);
    }
    fn load_u32(&self, offset: usize) -> u32 {
        let mut copy = [0; 4];
        self.read(offset, &mut copy);
        self.loads.set(self.loads.get() + 1);
        if self.loads.get() == 1 {
            (self.change)(&mut self.bytes.borrow_mut());
        }
        u32::from_le_bytes(copy)
    }
    fn write(&self, _: usize, _: &[u8]) {
        unreachable!("a clock is only read")
    }
    fn fill(&self, _: usize, _: usize, _: u8) {
        unreachable!("a clock is only read")
    }
    fn store_u32(&self, _: usize, _: u32) {
        unreachable!("a clock is only read")
    }
    fn load_u64(&self, _: usize) -> u64 {
        unreachable!("the clock is read at once")
    }
    fn store_u64(&self, _: usize, _: u64) {
        unreachable!("a clock is only read")
    }
    fn compare_exchange_u16(&self, _: usize, _: u16, _: u16) -> Result<u16, u16> {
        unreachable!("a clock is only read")
    }
    fn fetch_or_u64(&self, _: usize, _: u64) -> u64 {
        unreachable!("a clock is only read")
    }
    fn fetch_and_u64(&self, _: usize, _: u64) -> u64 {
        unreachable!("a clock is only read")
    }
}

#[test]
fn a_clock_that_changes_meanwhile_is_read_again() {
    let page = Changing::new(|bytes| {
        let after = VcpuTime {
            version: 4,
            system_time: 9_000_000,
            ..GIGAHERTZ
        };
        let at = vcpu_info(0) + TIME;
        bytes[at..at + VCPU_TIME_SIZE].copy_from_slice(&after.encode());
    });
    let mut readings = 0;
    let time = system_time(&page, 0, || {
        readings += 1;
        1000
    });
    assert_eq!((time, readings), (9_000_000, 2));
}

#[test]
fn a_wall_clock_that_changes_meanwhile_is_read_again() {
    let page = Changing::new(|bytes| {
        bytes[WC_VERSION] = 6;
        bytes[WC_SEC_HI] = 1;
    });
    assert_eq!(boot_time(&page), Duration::new((1 << 32) + 7, 9));
    assert_eq!(page.loads.get(), 10);
}
