//! A switch: connects the vifs of guests and the hosts that a test plays, and may lose, repeat,
//! delay and reorder what passes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use hv::Instant;

use crate::{Actor, ActorId, Netback, Next, Packet, Xen};

/// What a switch does to frames that pass it. The default does nothing to them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SwitchConfig {
    /// Of 1000 frames so many are lost.
    pub loss: u64,
    /// So many come twice.
    pub duplicates: u64,
    /// So many are overtaken by those after them.
    pub overtaken: u64,
    /// The longest a frame takes; each takes a random time up to it, in order.
    pub delay: Duration,
    /// How much longer one takes that is overtaken.
    pub behind: Duration,
    /// Large packets are cut, and their checksums made, as on a wire.
    pub wire: bool,
}

impl SwitchConfig {
    /// A bad line: 1 % lost, 1 % twice, 2 % out of order, up to 200 µs.
    #[must_use]
    pub fn bad() -> Self {
        Self {
            loss: 10,
            duplicates: 10,
            overtaken: 20,
            delay: Duration::from_micros(200),
            behind: Duration::from_millis(2),
            wire: true,
        }
    }
}

/// What a switch has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Frames taken in.
    pub frames: u64,
    /// Frames given out, to each port where it went.
    pub delivered: u64,
    /// Frames lost.
    pub lost: u64,
    /// Frames given out twice.
    pub repeated: u64,
    /// Frames held back so that others overtook them.
    pub overtaken: u64,
}

/// A running switch; clones are the same one.
#[derive(Clone)]
pub struct Switch {
    xen: Xen,
    actor: ActorId,
    table: Rc<RefCell<Table>>,
}

struct Table {
    config: SwitchConfig,
    ports: Vec<Port>,
    /// Where addresses were seen last.
    learned: BTreeMap<[u8; 6], usize>,
    /// Frames on their way, in the order in which they are due: when, in what order, where to.
    flying: BTreeMap<(Instant, u64), (usize, Packet)>,
    number: u64,
    passed: Passed,
}

struct Port {
    end: End,
    /// When the last frame to it is due that keeps the order.
    last: Instant,
}

enum End {
    Vif(Netback),
    Host(Rc<RefCell<Wire>>),
    Nothing,
}

/// What a host has sent and received.
#[derive(Default)]
struct Wire {
    sent: VecDeque<Packet>,
    received: VecDeque<Packet>,
    listener: Option<ActorId>,
}

/// A host that a test plays: it sends and sees raw frames. Clones are the same one.
#[derive(Clone)]
pub struct Host {
    xen: Xen,
    switch: ActorId,
    port: usize,
    wire: Rc<RefCell<Wire>>,
}

impl Host {
    /// Sends a frame.
    pub fn send(&self, frame: impl Into<Vec<u8>>) {
        self.send_packet(Packet::new(frame));
    }

    /// Sends a packet of which something is known.
    pub fn send_packet(&self, packet: Packet) {
        self.wire.borrow_mut().sent.push_back(packet);
        self.xen.wake(self.switch);
    }

    /// The next frame that came, if any.
    #[must_use]
    pub fn take(&self) -> Option<Packet> {
        self.wire.borrow_mut().received.pop_front()
    }

    /// All frames that came since they were taken last.
    #[must_use]
    pub fn take_all(&self) -> Vec<Packet> {
        self.wire.borrow_mut().received.drain(..).collect()
    }

    /// How many frames wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.wire.borrow().received.len()
    }

    /// Has `listener` woken when a frame has come.
    pub fn set_listener(&self, listener: ActorId) {
        self.wire.borrow_mut().listener = Some(listener);
    }

    /// Its port of the switch.
    #[must_use]
    pub fn port(&self) -> usize {
        self.port
    }
}

impl Switch {
    /// A switch with nothing plugged in.
    #[must_use]
    pub fn start(xen: &Xen, config: SwitchConfig) -> Self {
        let table = Rc::new(RefCell::new(Table {
            config,
            ports: Vec::new(),
            learned: BTreeMap::new(),
            flying: BTreeMap::new(),
            number: 0,
            passed: Passed::default(),
        }));
        Self {
            xen: xen.clone(),
            actor: xen.spawn("switch", table.clone()),
            table,
        }
    }

    fn add(&self, end: End) -> usize {
        let mut table = self.table.borrow_mut();
        table.ports.push(Port {
            end,
            last: Instant(0),
        });
        table.ports.len() - 1
    }

    /// Plugs a vif's backend in; the number of its port.
    pub fn plug(&self, netback: &Netback) -> usize {
        netback.set_listener(Some(self.actor));
        self.xen.wake(self.actor);
        self.add(End::Vif(netback.clone()))
    }

    /// Puts another backend at a port: one that was restarted.
    pub fn replug(&self, port: usize, netback: &Netback) {
        self.unplug(port);
        netback.set_listener(Some(self.actor));
        self.table.borrow_mut().ports[port].end = End::Vif(netback.clone());
        self.xen.wake(self.actor);
    }

    /// Takes what is plugged in at a port away.
    pub fn unplug(&self, port: usize) {
        let mut table = self.table.borrow_mut();
        let before = std::mem::replace(&mut table.ports[port].end, End::Nothing);
        if let End::Vif(netback) = before {
            netback.set_listener(None);
        }
        table.learned.retain(|_, at| *at != port);
    }

    /// Plugs a host in.
    #[must_use]
    pub fn host(&self) -> Host {
        let wire = Rc::new(RefCell::new(Wire::default()));
        Host {
            xen: self.xen.clone(),
            switch: self.actor,
            port: self.add(End::Host(wire.clone())),
            wire,
        }
    }

    /// Changes what it does to frames.
    pub fn configure(&self, config: SwitchConfig) {
        self.table.borrow_mut().config = config;
    }

    /// What it has done.
    #[must_use]
    pub fn passed(&self) -> Passed {
        self.table.borrow().passed
    }

    /// Frames on their way.
    #[must_use]
    pub fn flying(&self) -> usize {
        self.table.borrow().flying.len()
    }
}

impl Table {
    /// Takes in what the ports have.
    fn take_in(&mut self, xen: &Xen) {
        for from in 0..self.ports.len() {
            let packets: Vec<_> = match &self.ports[from].end {
                End::Vif(netback) => netback.take_sent(),
                End::Host(wire) => wire.borrow_mut().sent.drain(..).collect(),
                End::Nothing => continue,
            };
            for packet in packets {
                if packet.bytes.len() < 14 {
                    continue;
                }
                self.passed.frames += 1;
                self.learned.insert(packet.source(), from);
                self.forward(xen, from, packet);
            }
        }
    }

    fn forward(&mut self, xen: &Xen, from: usize, packet: Packet) {
        let packets = if self.config.wire {
            let frames = packet.on_wire().unwrap_or_default();
            frames.into_iter().map(Packet::new).collect()
        } else {
            vec![packet]
        };
        for packet in packets {
            let to = packet.destination();
            let known = self.learned.get(&to).copied();
            match known.filter(|_| to[0] & 1 == 0) {
                Some(port) if port == from => {}
                Some(port) => self.launch(xen, port, packet),
                None => {
                    for port in (0..self.ports.len()).filter(|port| *port != from) {
                        self.launch(xen, port, packet.clone());
                    }
                }
            }
        }
    }

    /// Sends a frame on its way to a port, or two, or none.
    fn launch(&mut self, xen: &Xen, port: usize, packet: Packet) {
        let config = self.config;
        let happens = |per_mille: u64| per_mille != 0 && xen.rng().below(1000) < per_mille;
        let within = |time: Duration| {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            Duration::from_nanos(xen.rng().below(nanos.max(1)))
        };
        if happens(config.loss) {
            self.passed.lost += 1;
            return;
        }
        let copies = 1 + u64::from(happens(config.duplicates));
        self.passed.repeated += copies - 1;
        for _ in 0..copies {
            let mut due = xen.now().after(within(config.delay));
            if happens(config.overtaken) {
                self.passed.overtaken += 1;
                due = due.after(within(config.behind));
            } else {
                let last = &mut self.ports[port].last;
                due = due.max(*last);
                *last = due;
            }
            self.number += 1;
            self.flying
                .insert((due, self.number), (port, packet.clone()));
        }
    }

    /// Gives out what is due.
    fn give_out(&mut self, xen: &Xen) -> Next {
        while let Some((&(due, _), _)) = self.flying.first_key_value() {
            if due > xen.now() {
                return Next::At(due);
            }
            let Some((_, (port, packet))) = self.flying.pop_first() else {
                break;
            };
            self.passed.delivered += 1;
            match &self.ports[port].end {
                End::Vif(netback) => netback.deliver(packet),
                End::Host(wire) => {
                    let mut wire = wire.borrow_mut();
                    // A host sees what a wire would carry.
                    let frames = packet.on_wire().unwrap_or_default();
                    wire.received.extend(frames.into_iter().map(Packet::new));
                    if let Some(listener) = wire.listener {
                        xen.wake(listener);
                    }
                }
                End::Nothing => {}
            }
        }
        Next::Wait
    }
}

impl Actor for Table {
    fn turn(&mut self, xen: &Xen) -> Next {
        self.take_in(xen);
        self.give_out(xen)
    }
}
