//! A PCI device as pciback shows it: its configuration space, virtualised where Linux's does so
//! (`conf_space_header.c`), and its interrupts.

use std::cell::RefCell;
use std::rc::Rc;

use hv::DomId;

use crate::Xen;
use crate::layout::pciif;
use crate::pirq::Trigger;

const COMMAND: usize = 0x04;
/// The bus master's bit there.
const MASTER: u8 = 4;
const STATUS: usize = 0x06;
const BARS: usize = 0x10;
const CAPABILITIES: usize = 0x34;
const LINE: usize = 0x3c;
const PIN: usize = 0x3d;
const MSI: usize = 0x50;
const MSIX: usize = 0x60;
/// Bits of the command that a domain may change: ports, memory, bus master, line off.
const CHANGEABLE: u32 = 0x407;

/// What a device is.
#[derive(Clone, Debug)]
pub struct PciConfig {
    /// Vendor and device.
    pub id: (u16, u16),
    /// Class, subclass, programming interface, 8 bits each.
    pub class: u32,
    /// Registers: the index of the base address register, its machine address, its size; each is 64
    /// bits wide, and takes two.
    pub bars: Vec<(usize, u64, u64)>,
    /// Vectors of its MSI-X table, 0 without.
    pub msix: u16,
    /// Whether MSI-X cannot be turned on all the same, as in the lab.
    pub refuses_msix: bool,
    /// Whether it can do MSI.
    pub msi: bool,
    /// The interrupt that its line is, if it has one.
    pub line: Option<u32>,
    /// Whether it is given with its bus master on, of which the backend knows nothing.
    pub is_left_on: bool,
}

impl Default for PciConfig {
    /// QEMU's NVMe controller, at the address that it has in the lab.
    fn default() -> Self {
        Self {
            id: (0x1b36, 0x0010),
            class: 0x01_0802,
            bars: vec![(0, 0xc0_0000_0000, 0x4000)],
            msix: 65,
            refuses_msix: false,
            msi: false,
            line: Some(16),
            is_left_on: false,
        }
    }
}

/// A device; clones are the same one.
#[derive(Clone)]
pub struct PciDevice(Rc<RefCell<Device>>);

struct Device {
    xen: Xen,
    guest: DomId,
    config: PciConfig,
    space: [u8; 256],
    /// Base address registers, by index, that all ones were written to.
    probed: [bool; 6],
    /// The interrupts that messages raise, by vector.
    vectors: Vec<u32>,
    is_msix: bool,
    /// The backend turned the bus master on.
    is_master: bool,
    is_pulled: bool,
}

impl PciDevice {
    /// A device for `guest`, which may map its registers and bind its line: what the toolstack does
    /// for it.
    #[must_use]
    pub fn new(xen: &Xen, guest: DomId, config: PciConfig) -> Self {
        let mut space = [0; 256];
        let mut put = |at: usize, bytes: &[u8]| space[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &config.id.0.to_le_bytes());
        put(2, &config.id.1.to_le_bytes());
        put(8, &(config.class << 8 | 2).to_le_bytes());
        put(COMMAND, &[if config.is_left_on { MASTER } else { 0 }]);
        for (index, address, _) in &config.bars {
            put(BARS + index * 4, &(address | 4).to_le_bytes());
        }
        let mut last = CAPABILITIES;
        for (place, id, is_there) in [(MSI, 5, config.msi), (MSIX, 0x11, config.msix > 0)] {
            if is_there {
                put(STATUS, &[0x10]);
                put(last, &place.to_le_bytes()[..1]);
                put(place, &[id]);
                last = place + 1;
            }
        }
        put(MSIX + 2, &config.msix.saturating_sub(1).to_le_bytes());
        if let Some(line) = config.line {
            put(LINE, &line.to_le_bytes()[..1]);
            put(PIN, &[1]);
            xen.give_pirq(guest, line, Trigger::Line);
        }
        Self(Rc::new(RefCell::new(Device {
            xen: xen.clone(),
            guest,
            config,
            space,
            probed: [false; 6],
            vectors: Vec::new(),
            is_msix: false,
            is_master: false,
            is_pulled: false,
        })))
    }

    /// Whether it may read and write memory.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.0.borrow().space[COMMAND] & MASTER != 0
    }

    /// It is pulled out: what the backend does not remember itself reads as ones.
    pub fn pull(&self) {
        let mut device = self.0.borrow_mut();
        device.space[4..].fill(0xff);
        device.is_pulled = true;
    }

    /// Messages that are turned on, and whether by MSI-X.
    #[must_use]
    pub fn vectors(&self) -> (usize, bool) {
        let device = self.0.borrow();
        (device.vectors.len(), device.is_msix)
    }

    /// The domain it was given to.
    #[must_use]
    pub fn guest(&self) -> DomId {
        self.0.borrow().guest
    }

    /// Raises an interrupt: vector `vector` if messages are on (the last one, if there are fewer),
    /// or the line, which is held until [`lower`](Self::lower).
    pub fn raise(&self, vector: usize) {
        let device = self.0.borrow();
        let (xen, guest) = (&device.xen, device.guest);
        match (device.vectors.get(vector), device.vectors.last()) {
            (Some(pirq), _) | (None, Some(pirq)) => xen.send_message(guest, *pirq),
            (None, None) => {
                if let Some(line) = device.config.line {
                    xen.hold_line(guest, line, true);
                }
            }
        }
    }

    /// Lets go of the line.
    pub fn lower(&self) {
        let device = self.0.borrow();
        if let Some(line) = device.config.line {
            device.xen.hold_line(device.guest, line, false);
        }
    }

    /// Changes the configuration space as if the device did.
    pub fn poke(&self, offset: usize, bytes: &[u8]) {
        self.0.borrow_mut().space[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn read(&self, offset: usize, size: usize) -> Result<u32, i32> {
        let device = self.0.borrow();
        check(offset, size)?;
        let mut bytes = [0; 4];
        let at = offset % 4;
        let word = device.word(offset - at).to_le_bytes();
        bytes[..size].copy_from_slice(&word[at..at + size]);
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn write(&self, offset: usize, size: usize, value: u32) -> Result<(), i32> {
        let mut device = self.0.borrow_mut();
        check(offset, size)?;
        match (offset, size) {
            _ if device.is_pulled => {}
            (COMMAND, 2 | 4) => {
                // As Linux's, which does nothing about what it has not done itself.
                let wanted = value & u32::from(MASTER) != 0;
                let is_left = !wanted && !device.is_master;
                let left = u32::from(device.space[COMMAND] & MASTER);
                let value = if is_left { value | left } else { value };
                device.is_master = wanted;
                let kept = u32::from(device.space[COMMAND]) & !CHANGEABLE;
                let new = (kept | value & CHANGEABLE).to_le_bytes();
                device.space[COMMAND..COMMAND + 2].copy_from_slice(&new[..2]);
            }
            (BARS..CAPABILITIES, 4) if offset < BARS + 24 => {
                // Only for its size; nothing moves.
                device.probed[(offset - BARS) / 4] = value == u32::MAX;
            }
            // The rest stays as it is, without a word.
            _ => {}
        }
        Ok(())
    }

    pub(super) fn enable_msi(&self, is_msix: bool, count: u32) -> Result<Vec<u32>, i32> {
        let mut device = self.0.borrow_mut();
        let has = match is_msix {
            true => u32::from(device.config.msix),
            false => u32::from(device.config.msi),
        };
        // Linux's asks for memory to be on, and for neither to be.
        let memory = device.space[COMMAND] & 2 != 0;
        let refused = is_msix && device.config.refuses_msix;
        if refused || count == 0 || count > has.min(128) || !memory || !device.vectors.is_empty() {
            return Err(pciif::OP_FAILED);
        }
        device.is_msix = is_msix;
        device.vectors = (0..count).map(|_| device.xen.new_pirq()).collect();
        for pirq in &device.vectors {
            device.xen.give_pirq(device.guest, *pirq, Trigger::Message);
        }
        Ok(device.vectors.clone())
    }

    pub(super) fn disable_msi(&self) {
        let mut device = self.0.borrow_mut();
        for pirq in std::mem::take(&mut device.vectors) {
            device.xen.take_pirq(device.guest, pirq);
        }
    }

    /// As the backend leaves it when its frontend is gone.
    pub(super) fn reset(&self) {
        self.disable_msi();
        let mut device = self.0.borrow_mut();
        device.space[COMMAND] = 0;
        device.is_master = false;
        device.probed = [false; 6];
    }
}

impl Device {
    fn word(&self, offset: usize) -> u32 {
        let stored = self.space[offset..offset + 4].try_into().expect("4 bytes");
        let probed = (BARS..BARS + 24).contains(&offset) && self.probed[(offset - BARS) / 4];
        if !probed {
            return u32::from_le_bytes(stored);
        }
        let index = (offset - BARS) / 4;
        let found = self.config.bars.iter().find_map(|(first, _, bytes)| {
            let mask = bytes.wrapping_neg() | 4;
            match index.checked_sub(*first)? {
                0 => Some(mask & u64::from(u32::MAX)),
                1 => Some(mask >> 32),
                _ => None,
            }
        });
        found.map_or(0, |word| u32::try_from(word).expect("half of it"))
    }
}

fn check(offset: usize, size: usize) -> Result<(), i32> {
    let fits = matches!(size, 1 | 2 | 4) && offset < 256 && offset.is_multiple_of(size);
    fits.then_some(()).ok_or(pciif::INVALID_OFFSET)
}
