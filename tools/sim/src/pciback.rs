//! The PCI backend: serves a domain's PCI frontend as Linux's pciback does, honestly or not.
//!
//! - [`device`]: a device's configuration space and interrupts
//! - [`malice`]: what a hostile backend does differently

pub mod device;
pub mod malice;

use std::cell::RefCell;
use std::rc::Rc;

use hv::{Access, DomId, GrantRef, Instant, Port, SharedMem as _};

use crate::backend::bus::{
    Bus, CLOSED, CLOSING, CONNECTED, INIT_WAIT, INITIALISED, INITIALISING, Key,
};
use crate::layout::pciif;
use crate::toolstack::{Pci, Toolstack};
use crate::{Actor, ActorId, Memory, Next, Xen};

pub use device::{PciConfig, PciDevice};
pub use malice::{Asked, Liar, Lie};

const DOM0: DomId = DomId(0);
const RECONFIGURING: u32 = 7;
const RECONFIGURED: u32 = 8;

/// A running backend; clones are the same one.
#[derive(Clone)]
pub struct Pciback {
    xen: Xen,
    actor: ActorId,
    backend: Rc<RefCell<Backend>>,
}

struct Backend {
    bus: Bus,
    pci: Pci,
    /// By number, as in its directory; each is on a slot of its own.
    slots: Vec<Slot>,
    page: Option<(Memory, Port)>,
    liar: Option<Liar>,
    /// Values that stand in its directory whatever the truth is.
    keys: Vec<(String, Option<String>)>,
    operations: u64,
    /// An answer that is held back.
    late: Option<(Instant, Answer)>,
    /// An operation that is never answered.
    silent: bool,
    /// What the frontend answered to reports of errors.
    verdicts: Vec<u32>,
    /// How the device was that it took away last: whether it was a bus master, and its messages.
    taken: Option<(bool, usize)>,
}

struct Slot {
    device: Option<PciDevice>,
    state: u32,
}

struct Answer {
    bytes: [u8; pciif::OP_SIZE],
    flags: u32,
}

impl Pciback {
    /// Creates the frontend's and the backend's directories for these devices, and starts the
    /// backend.
    #[must_use]
    pub fn attach(xen: &Xen, toolstack: &Toolstack, pci: Pci, devices: Vec<PciDevice>) -> Self {
        Self::attach_lying(xen, toolstack, pci, devices, Vec::new())
    }

    /// The same with values that stand in its directory whatever the truth is.
    #[must_use]
    pub fn attach_lying(
        xen: &Xen,
        toolstack: &Toolstack,
        pci: Pci,
        devices: Vec<PciDevice>,
        keys: Vec<(String, Option<String>)>,
    ) -> Self {
        toolstack.create_pci(&pci, devices.len());
        let (front, back) = (pci.frontend_path(), pci.backend_path());
        let slot = |device| Slot {
            device: Some(device),
            state: INITIALISING,
        };
        let backend = Rc::new(RefCell::new(Backend {
            bus: Bus::new(xen, toolstack.store(), front, back),
            pci,
            slots: devices.into_iter().map(slot).collect(),
            page: None,
            liar: None,
            keys,
            operations: 0,
            late: None,
            silent: false,
            verdicts: Vec::new(),
            taken: None,
        }));
        let actor = xen.spawn(format!("pciback {}", pci.guest), backend.clone());
        backend.borrow_mut().bus.watch(actor);
        Self {
            xen: xen.clone(),
            actor,
            backend,
        }
    }

    /// Gives the domain another device, as `xl pci-attach` does.
    pub fn add(&self, device: PciDevice) {
        let mut backend = self.backend.borrow_mut();
        let slot = Slot {
            device: Some(device),
            state: INITIALISING,
        };
        let free = backend.slots.iter().position(|slot| slot.device.is_none());
        let number = free.unwrap_or(backend.slots.len());
        if let Some(free) = backend.slots.get_mut(number) {
            *free = slot;
        } else {
            backend.slots.push(slot);
        }
        let count = backend.slots.len();
        backend.bus.write_key("num_devs", &count.to_string());
        backend.reconfigure(number, INITIALISING);
        self.xen.wake(self.actor);
    }

    /// Takes device `number` away, as `xl pci-detach` does.
    pub fn remove(&self, number: usize) {
        self.backend.borrow_mut().reconfigure(number, CLOSING);
        self.xen.wake(self.actor);
    }

    /// Whether it still has device `number`.
    #[must_use]
    pub fn has(&self, number: usize) -> bool {
        self.backend.borrow().slots[number].device.is_some()
    }

    /// How the device was that it took away last, before it turned that off itself: whether it may
    /// read and write memory, and how many messages it may send.
    #[must_use]
    pub fn taken(&self) -> Option<(bool, usize)> {
        self.backend.borrow().taken
    }

    /// The state it last wrote (XenbusState).
    #[must_use]
    pub fn state(&self) -> u32 {
        self.backend.borrow().bus.state
    }

    /// Whether it has the frontend's page mapped.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.backend.borrow().page.is_some()
    }

    /// How many operations it was asked for.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.backend.borrow().operations
    }

    /// Has `liar` decide on each operation from now on.
    pub fn set_liar(&self, liar: impl FnMut(&Asked) -> Option<Lie> + 'static) {
        self.backend.borrow_mut().liar = Some(Box::new(liar));
    }

    /// Is honest from now on.
    pub fn repent(&self) {
        self.backend.borrow_mut().liar = None;
    }

    /// Reports an error of a device: the words of `aer_op`.
    pub fn report(&self, words: [u32; 5]) {
        let backend = self.backend.borrow();
        if let Some((page, port)) = &backend.page {
            for (word, index) in words.iter().zip(0..) {
                page.store_u32(pciif::AER_OP + index * 4, *word);
            }
            let flags = page.load_u32(pciif::FLAGS);
            page.store_u32(pciif::FLAGS, flags | pciif::AER_ACTIVE);
            let _ = self.xen.evtchn_send(DOM0, *port);
        }
    }

    /// What the frontend answered to reports of errors.
    #[must_use]
    pub fn verdicts(&self) -> Vec<u32> {
        self.backend.borrow().verdicts.clone()
    }

    /// Sets flags that the frontend did not ask for, and tells it.
    pub fn set_flags(&self, flags: u32) {
        let backend = self.backend.borrow();
        if let Some((page, port)) = &backend.page {
            let before = page.load_u32(pciif::FLAGS);
            page.store_u32(pciif::FLAGS, before | flags);
            let _ = self.xen.evtchn_send(DOM0, *port);
        }
    }
}

impl Backend {
    fn reconfigure(&mut self, number: usize, state: u32) {
        self.slots[number].state = state;
        let key = format!("state-{number}");
        self.bus.write_key(&key, &state.to_string());
        self.switch(RECONFIGURING);
        self.bus.look = true;
    }

    fn switch(&mut self, state: u32) {
        self.bus.switch(state, &self.keys);
    }

    /// Goes on as far as the frontend's state allows.
    fn handshake(&mut self, xen: &Xen) {
        match (self.bus.state, self.bus.frontend_state()) {
            (INITIALISING, _) => self.invite(),
            (CLOSED, Some(INITIALISING)) if self.bus.is_online() => self.invite(),
            (INITIALISED, Some(INITIALISED)) => match self.connect(xen) {
                Ok(()) => self.switch(CONNECTED),
                Err(why) => {
                    self.bus.report(&why);
                    self.switch(CLOSING);
                }
            },
            (RECONFIGURING, Some(RECONFIGURING)) => {
                self.export();
                self.switch(RECONFIGURED);
            }
            (RECONFIGURED, Some(CONNECTED)) => self.switch(CONNECTED),
            (state, Some(CLOSING)) if state != CLOSED && state != CLOSING => self.switch(CLOSING),
            (state, Some(CLOSED) | None) if state != CLOSED && state >= CONNECTED => {
                self.disconnect(xen);
                self.switch(CLOSED);
            }
            _ => {}
        }
        self.bus.finished |= self.bus.state == CLOSED && !self.bus.is_online();
    }

    fn invite(&mut self) {
        self.switch(INIT_WAIT);
        self.export();
        self.bus.write_key("root_num", "1");
        self.bus.write_key("root-0", "0000:00");
        self.switch(INITIALISED);
    }

    /// Shows those devices that are new, and takes those away that are to go.
    fn export(&mut self) {
        let mut lines: Vec<(String, Option<String>)> = Vec::new();
        for (slot, number) in self.slots.iter_mut().zip(0..) {
            let (vdev, state) = (format!("vdev-{number}"), format!("state-{number}"));
            match slot.state {
                INITIALISING => {
                    slot.state = INITIALISED;
                    lines.push((vdev, Some(format!("0000:00:{number:02x}.00"))));
                    lines.push((state, Some(INITIALISED.to_string())));
                }
                CLOSING => {
                    slot.state = CLOSED;
                    if let Some(device) = slot.device.take() {
                        self.taken = Some((device.is_master(), device.vectors().0));
                        device.reset();
                    }
                    lines.push((vdev, None));
                    lines.push((state, None));
                }
                _ => {}
            }
        }
        // Lies come last.
        let keys: Vec<Key> = Vec::new();
        self.bus.publish(&keys, &lines);
        self.bus.publish(&keys, &self.keys);
    }

    fn connect(&mut self, xen: &Xen) -> Result<(), String> {
        if self.bus.front_key("magic").as_deref() != Some("7") {
            return Err("magic is not 7".into());
        }
        let entry = GrantRef(self.bus.front_number("pci-op-ref")?);
        let remote = Port(self.bus.front_number("event-channel")?);
        let guest = self.pci.guest;
        let page = xen.grant_map_one(DOM0, guest, entry, Access::ReadWrite);
        let page = page.map_err(|status| format!("pci-op-ref: {status}"))?;
        let port = xen.evtchn_bind_interdomain(DOM0, guest, remote);
        let port = port.map_err(|error| format!("event-channel: {error}"))?;
        if let Some(actor) = self.bus.actor() {
            xen.own_port(DOM0, port, actor);
        }
        self.page = Some((page, port));
        Ok(())
    }

    fn disconnect(&mut self, xen: &Xen) {
        if let Some((_, port)) = self.page.take() {
            // Already closed, if the domain is gone.
            let _ = xen.evtchn_close(DOM0, port);
        }
        self.late = None;
        self.silent = false;
        for device in self.slots.iter().filter_map(|slot| slot.device.as_ref()) {
            device.reset();
        }
    }

    /// Looks at the page.
    fn serve(&mut self, xen: &Xen) -> Next {
        let Some((page, port)) = &self.page else {
            return Next::Wait;
        };
        xen.take_event(DOM0, *port);
        let flags = page.load_u32(pciif::FLAGS);
        // The report was looked at: Linux's waits for that.
        let verdict = page.load_u32(pciif::AER_OP + 4);
        if flags & pciif::AER_ACTIVE == 0 && verdict != 0 && page.load_u32(pciif::AER_OP) != 0 {
            self.verdicts.push(verdict);
            page.store_u32(pciif::AER_OP, 0);
        }
        if let Some((due, answer)) = self.late.take() {
            if xen.now() < due {
                self.late = Some((due, answer));
                return Next::At(due);
            }
            self.answer(xen, &answer);
            return Next::Again;
        }
        if flags & pciif::ACTIVE == 0 || self.silent {
            return Next::Wait;
        }
        let mut bytes = [0; pciif::OP_SIZE];
        page.read(pciif::OP, &mut bytes);
        self.operations += 1;
        self.operate(xen, bytes)
    }

    fn operate(&mut self, xen: &Xen, mut bytes: [u8; pciif::OP_SIZE]) -> Next {
        let word =
            |index: usize| u32::from_le_bytes(bytes[index * 4..][..4].try_into().expect("4 bytes"));
        let asked = Asked {
            number: self.operations,
            command: word(0),
            devfn: word(4),
            offset: word(5),
            size: word(6),
            value: word(7),
        };
        let lie = self.liar.as_mut().and_then(|liar| liar(&asked));
        let truth = self.truth(&asked, (word(2), word(3)));
        let (mut error, mut value, mut vectors) = match truth {
            Ok((value, vectors)) => (0, value, vectors),
            Err(error) => (error, asked.value, Vec::new()),
        };
        let (mut flags, mut due, mut other) = (0, None, None);
        match lie {
            None => {}
            Some(Lie::Value(lied)) => (error, value) = (0, lied),
            Some(Lie::Vectors(lied)) => {
                (error, value) = (0, 0);
                vectors = lied.into_iter().map(u32::from).collect();
            }
            Some(Lie::Error(lied)) => error = lied,
            Some(Lie::Silence) => {
                self.silent = true;
                return Next::Wait;
            }
            Some(Lie::Late(time)) => due = Some(xen.now().after(time)),
            Some(Lie::Word(index, lied)) => other = Some((index, lied)),
            Some(Lie::Flags(lied)) => flags = lied,
        }
        let mut put = |index: usize, word: u32| {
            bytes[index * 4..][..4].copy_from_slice(&word.to_le_bytes());
        };
        put(1, error.cast_unsigned());
        put(7, value);
        if let Some((index, lied)) = other {
            put(index, lied);
        }
        for (vector, entry) in vectors.iter().zip(0..) {
            let word = vector & 0xffff | u32::try_from(entry).expect("few entries") << 16;
            put(9 + entry, word);
        }
        let answer = Answer { bytes, flags };
        if let Some(due) = due {
            self.late = Some((due, answer));
            return Next::At(due);
        }
        self.answer(xen, &answer);
        Next::Again
    }

    /// What an honest backend does and says.
    fn truth(&self, asked: &Asked, bus: (u32, u32)) -> Result<(u32, Vec<u32>), i32> {
        let slot = usize::try_from(asked.devfn >> 3).expect("a slot");
        let here = bus == (0, 0) && asked.devfn & 7 == 0;
        let found = self
            .slots
            .get(slot)
            .filter(|slot| here && slot.state >= INITIALISED);
        let device = found.and_then(|slot| slot.device.as_ref());
        let device = device.ok_or(pciif::DEV_NOT_FOUND)?;
        let offset = usize::try_from(asked.offset).expect("32 bits");
        let size = usize::try_from(asked.size).expect("32 bits");
        match asked.command {
            pciif::CONF_READ => Ok((device.read(offset, size)?, Vec::new())),
            pciif::CONF_WRITE => {
                device.write(offset, size, asked.value)?;
                Ok((asked.value, Vec::new()))
            }
            pciif::ENABLE_MSI => Ok((device.enable_msi(false, 1)?[0], Vec::new())),
            pciif::ENABLE_MSIX => Ok((0, device.enable_msi(true, asked.value)?)),
            pciif::DISABLE_MSI | pciif::DISABLE_MSIX => {
                device.disable_msi();
                Ok((0, Vec::new()))
            }
            _ => Err(pciif::NOT_IMPLEMENTED),
        }
    }

    fn answer(&self, xen: &Xen, answer: &Answer) {
        if let Some((page, port)) = &self.page {
            page.write(pciif::OP, &answer.bytes);
            let flags = page.load_u32(pciif::FLAGS) & !pciif::ACTIVE | answer.flags;
            page.store_u32(pciif::FLAGS, flags);
            let _ = xen.evtchn_send(DOM0, *port);
        }
    }
}

impl Actor for Backend {
    fn turn(&mut self, xen: &Xen) -> Next {
        self.bus.drain();
        if std::mem::take(&mut self.bus.look) {
            self.handshake(xen);
        }
        let next = self.serve(xen);
        if self.bus.finished {
            self.bus.unwatch();
            return Next::Finished;
        }
        next
    }
}
