//! Hosts on a hub, and their time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use exec::{Executor, Log, Notify};
use hv::Instant;
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};

use crate::net::Surroundings;
use crate::{AddressSetting, Net, Wire};

/// SplitMix64.
pub(super) fn scramble(state: &Cell<u64>) -> u64 {
    state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
    let mut z = state.get();
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hosts on a hub, and their time.
pub(super) struct World {
    pub(super) exec: Executor,
    pub(super) now: Rc<Cell<u64>>,
    pub(super) hub: Rc<Hub>,
}

/// Brings each frame to every port but the one it came from.
#[derive(Default)]
pub(super) struct Hub {
    ports: RefCell<Vec<Rc<Port>>>,
    /// One frame in so many is lost; none if it is 0.
    pub(super) loss: Cell<u64>,
    chance: Cell<u64>,
    pub(super) passed: Cell<u64>,
}

/// One host's place at the hub.
#[derive(Default)]
pub(super) struct Port {
    pub(super) inbox: RefCell<VecDeque<Vec<u8>>>,
    changed: Notify,
    pub(super) carrier: Cell<bool>,
    gone: Cell<bool>,
    /// Frames that may be sent until somebody opens it again; all if it is `None`.
    pub(super) room: Cell<Option<usize>>,
    /// Long segments are cut by somebody else, and nobody looks at TCP's sums.
    pub(super) offloads: Cell<bool>,
    /// Groups whose frames are to come, the last time that there was room to ask.
    pub(super) groups: RefCell<Vec<[u8; 6]>>,
    /// There is no room to ask for groups.
    pub(super) deaf: Cell<bool>,
    /// The longest frame it was given to send.
    pub(super) longest: Cell<usize>,
}

impl Port {
    pub(super) fn set_gone(&self) {
        self.gone.set(true);
        self.changed.notify();
    }

    pub(super) fn set_carrier(&self, carrier: bool) {
        self.carrier.set(carrier);
        self.changed.notify();
    }

    pub(super) fn set_room(&self, room: Option<usize>) {
        self.room.set(room);
        self.changed.notify();
    }

    /// Waits for a frame.
    pub(super) async fn arrived(&self) {
        self.changed.notified().await;
    }

    /// A frame comes.
    pub(super) fn deliver(&self, frame: Vec<u8>) {
        self.inbox.borrow_mut().push_back(frame);
        self.changed.notify();
    }
}

impl Hub {
    pub(super) fn send(&self, from: &Rc<Port>, frame: &[u8]) {
        self.passed.set(self.passed.get() + 1);
        let loss = self.loss.get();
        if loss != 0 && scramble(&self.chance).is_multiple_of(loss) {
            return;
        }
        for port in self.ports.borrow().iter() {
            if !Rc::ptr_eq(port, from) {
                port.deliver(frame.to_vec());
            }
        }
    }

    pub(super) fn plug_in(&self) -> Rc<Port> {
        let port = Rc::new(Port {
            carrier: Cell::new(true),
            ..Port::default()
        });
        self.ports.borrow_mut().push(port.clone());
        port
    }
}

/// A host's wire to the hub.
pub(super) struct Cable {
    pub(super) name: &'static str,
    pub(super) mac: [u8; 6],
    pub(super) hint: Option<&'static str>,
    pub(super) hub: Rc<Hub>,
    pub(super) port: Rc<Port>,
}

impl Wire for Cable {
    fn name(&self) -> &str {
        self.name
    }
    fn mac(&self) -> [u8; 6] {
        self.mac
    }
    fn carrier(&self) -> bool {
        self.port.carrier.get()
    }
    fn is_gone(&self) -> bool {
        self.port.gone.get()
    }
    fn address_hint(&self) -> Option<String> {
        self.hint.map(String::from)
    }
    fn set_groups(&mut self, groups: &[[u8; 6]]) -> bool {
        if !self.port.deaf.get() {
            self.port.groups.replace(groups.into());
        }
        !self.port.deaf.get()
    }
    async fn changed(&self) {
        self.port.changed.notified().await;
    }
}

pub(super) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(super) struct Sending<'a>(&'a Cable);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        let port = &self.0.port;
        port.longest.set(port.longest.get().max(length));
        if let Some(room) = port.room.get() {
            port.room.set(Some(room.saturating_sub(1)));
        }
        self.0.hub.send(port, &frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sending<'_>)> {
        if self.port.room.get() == Some(0) {
            return None;
        }
        let frame = self.port.inbox.borrow_mut().pop_front()?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sending<'_>> {
        (self.port.room.get() != Some(0)).then_some(Sending(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        if self.port.offloads.get() {
            capabilities.checksum.tcp = Checksum::None;
            capabilities.segmentation.tcpv4 = NonZeroUsize::new(65_536);
            capabilities.segmentation.tcpv6 = NonZeroUsize::new(65_536);
        }
        capabilities
    }
}

/// A host: its network, and its place at the hub.
pub(super) struct Host {
    pub(super) net: Net,
    pub(super) port: Rc<Port>,
    pub(super) log: Log,
    pub(super) number: u8,
}

impl Host {
    pub(super) fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, self.number]
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.log.lines_from(0);
        lines.map(|line| line.text.clone()).collect()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            exec: Executor::new(),
            now: Rc::default(),
            hub: Rc::default(),
        }
    }

    /// A host with so many MiB of memory that is told `settings`; its number is the last byte of
    /// its Ethernet address.
    pub(super) fn host(&self, number: u8, settings: &[&str], mib: usize) -> Host {
        let seed = Cell::new(u64::from(number));
        let (now, clock) = (self.now.clone(), self.now.clone());
        let log = Log::new(move || Instant(now.get()));
        let net = Net::assemble(Surroundings {
            exec: self.exec.clone(),
            log: log.clone(),
            memory: mib << 20,
            free: Box::new(move || mib << 20),
            random: Box::new(move || scramble(&seed)),
            clock: Box::new(move || {
                let now = Instant(clock.get());
                (now, now.since_start())
            }),
            addresses: settings
                .iter()
                .map(|text| AddressSetting::parse(text).expect("a setting"))
                .collect(),
        });
        let port = self.hub.plug_in();
        let host = Host {
            net,
            port,
            log,
            number,
        };
        self.connect(&host, None);
        host
    }

    /// Gives the host's interface `xn0` a wire over its port, and a hint.
    pub(super) fn connect(&self, host: &Host, hint: Option<&'static str>) {
        host.net.attach(Cable {
            name: "xn0",
            mac: host.mac(),
            hint,
            hub: self.hub.clone(),
            port: host.port.clone(),
        });
    }

    /// Lets time pass; returns how many turns it took.
    pub(super) fn run_for(&self, time: Duration) -> u64 {
        let end = Instant(self.now.get()).after(time);
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < 5_000_000, "it does not rest");
            if self.exec.turn(Instant(self.now.get())) {
                // A turn takes a little time.
                self.now.set(self.now.get() + 1000);
                continue;
            }
            match self.exec.next_deadline() {
                Some(next) if next <= end => self.now.set(next.0.max(self.now.get())),
                _ => break,
            }
        }
        self.now.set(end.0.max(self.now.get()));
        turns
    }

    /// Runs `future` to its end, for at most `limit`.
    pub(super) fn run<T: 'static>(
        &self,
        limit: Duration,
        future: impl Future<Output = T> + 'static,
    ) -> Option<T> {
        let result = Rc::new(Cell::new(None));
        let into = result.clone();
        self.exec
            .spawn("test", async move { into.set(Some(future.await)) });
        let end = Instant(self.now.get()).after(limit);
        loop {
            if let Some(value) = result.take() {
                return Some(value);
            }
            if Instant(self.now.get()) >= end {
                return None;
            }
            if self.exec.turn(Instant(self.now.get())) {
                self.now.set(self.now.get() + 1000);
                continue;
            }
            let next = self.exec.next_deadline().map_or(end, |next| next.min(end));
            self.now.set(next.0.max(self.now.get()));
        }
    }
}
