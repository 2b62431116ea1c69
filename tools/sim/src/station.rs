//! What a test has in the place of a stack: it takes a guest's links, sends frames over them and
//! keeps those that come.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::num::NonZeroU16;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use exec::Notify;
use netfront::{Counters, Event, Link};
use smoltcp::phy::{Device, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::{Dom, Guest, World};

/// Frames kept of those that came; older ones are forgotten.
const KEPT: usize = 4096;

/// A guest's links, in the hands of a test. Clones are the same one.
#[derive(Clone)]
pub struct Station {
    inner: Rc<Inner>,
}

struct Inner {
    ports: RefCell<BTreeMap<String, Rc<Port>>>,
    removed: RefCell<Vec<String>>,
    echo: Cell<bool>,
}

/// One vif.
#[derive(Default)]
struct Port {
    /// How often its link came.
    ups: Cell<u64>,
    is_up: Cell<bool>,
    seen: RefCell<Option<Seen>>,
    to_send: RefCell<VecDeque<(Vec<u8>, Option<u16>)>>,
    received: RefCell<VecDeque<Vec<u8>>>,
    count: Cell<u64>,
    news: Notify,
}

/// What a link says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its Ethernet address.
    pub mac: [u8; 6],
    /// The longest IP packet.
    pub mtu: usize,
    /// Whether the cable is in.
    pub carrier: bool,
    /// What the toolstack wrote as its address.
    pub hint: Option<String>,
    /// Whether the backend leaves multicast packets away.
    pub filters_multicast: bool,
    /// What went through.
    pub counters: Counters,
}

impl Station {
    /// Takes the links of a guest with the network frontend.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn start(guest: &Guest) -> Self {
        let netfront = guest.netfront.clone().expect("a guest with a network");
        let inner = Rc::new(Inner {
            ports: RefCell::default(),
            removed: RefCell::default(),
            echo: Cell::new(false),
        });
        let (exec, station) = (guest.pv.exec.clone(), inner.clone());
        guest.pv.exec.spawn("station", async move {
            loop {
                match netfront.event().await {
                    Event::Up(link) => {
                        let port = station.port(link.name());
                        port.ups.set(port.ups.get() + 1);
                        port.is_up.set(true);
                        let number = port.ups.get();
                        exec.spawn("station link", station.clone().serve(link, port, number));
                    }
                    Event::Removed(name) => station.removed.borrow_mut().push(name),
                }
            }
        });
        Self { inner }
    }

    /// Whether it sends back what comes, from now on.
    pub fn set_echo(&self, echo: bool) {
        self.inner.echo.set(echo);
    }

    /// Sends a frame.
    pub fn send(&self, world: &World, guest: &Guest, name: &str, frame: impl Into<Vec<u8>>) {
        self.send_cut(world, guest, name, (frame.into(), None));
    }

    /// Sends a frame that the backend is to cut into segments with so many bytes of data, if a
    /// number is given.
    pub fn send_cut(
        &self,
        world: &World,
        guest: &Guest,
        name: &str,
        frame: (Vec<u8>, Option<u16>),
    ) {
        let port = self.inner.port(name);
        port.to_send.borrow_mut().push_back(frame);
        port.news.notify();
        world.wake_domain(guest.dom.id());
    }

    /// Frames not sent yet.
    #[must_use]
    pub fn unsent(&self, name: &str) -> usize {
        self.inner.port(name).to_send.borrow().len()
    }

    /// The frames that came since they were taken last.
    #[must_use]
    pub fn take_all(&self, name: &str) -> Vec<Vec<u8>> {
        self.inner
            .port(name)
            .received
            .borrow_mut()
            .drain(..)
            .collect()
    }

    /// Forgets the frames that came, and how many they were.
    pub fn forget(&self, name: &str) {
        let port = self.inner.port(name);
        port.received.borrow_mut().clear();
        port.count.set(0);
    }

    /// How many frames came.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.inner.port(name).count.get()
    }

    /// How often the link came.
    #[must_use]
    pub fn ups(&self, name: &str) -> u64 {
        self.inner.port(name).ups.get()
    }

    /// Whether the link is there.
    #[must_use]
    pub fn is_up(&self, name: &str) -> bool {
        self.inner.port(name).is_up.get()
    }

    /// What the link says of itself, or said last.
    #[must_use]
    pub fn seen(&self, name: &str) -> Option<Seen> {
        self.inner.port(name).seen.borrow().clone()
    }

    /// The vifs that were taken away, in that order.
    #[must_use]
    pub fn removed(&self) -> Vec<String> {
        self.inner.removed.borrow().clone()
    }
}

impl Inner {
    fn port(&self, name: &str) -> Rc<Port> {
        let mut ports = self.ports.borrow_mut();
        ports.entry(name.to_string()).or_default().clone()
    }

    /// Serves a link to its end.
    async fn serve(self: Rc<Self>, mut link: Link<Dom>, port: Rc<Port>, number: u64) {
        let now = Instant::from_millis(0);
        loop {
            while let Some((packet, answer)) = link.receive(now) {
                let frame = packet.consume(<[u8]>::to_vec);
                port.count.set(port.count.get() + 1);
                if self.echo.get() && frame[0] & 1 == 0 {
                    let back = echo(&frame);
                    answer.consume(back.len(), |room| room.copy_from_slice(&back));
                }
                let mut received = port.received.borrow_mut();
                received.push_back(frame);
                if received.len() > KEPT {
                    received.pop_front();
                }
            }
            let waits = self.send(&mut link, &port);
            *port.seen.borrow_mut() = Some(Seen {
                mac: link.mac(),
                mtu: link.mtu(),
                carrier: link.carrier(),
                hint: link.address_hint().map(String::from),
                filters_multicast: link.filters_multicast(),
                counters: link.counters(),
            });
            if link.is_gone() {
                if port.ups.get() == number {
                    port.is_up.set(false);
                }
                return;
            }
            let mut changed = pin!(link.changed());
            poll_fn(|context| {
                let asked = !waits && port.news.poll_notified(context).is_ready();
                if changed.as_mut().poll(context).is_ready() || asked {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
        }
    }

    /// Sends what there is room for; says whether something is left.
    fn send(&self, link: &mut Link<Dom>, port: &Port) -> bool {
        loop {
            if port.to_send.borrow().is_empty() {
                return false;
            }
            let Some(mut token) = link.transmit(Instant::from_millis(0)) else {
                return true;
            };
            let next = port.to_send.borrow_mut().pop_front();
            let Some((frame, cut)) = next else {
                return false;
            };
            let mut meta = PacketMeta::default();
            meta.segmentation_offload_size = cut.and_then(NonZeroU16::new);
            token.set_meta(meta);
            token.consume(frame.len(), |room| room.copy_from_slice(&frame));
        }
    }
}

/// The same frame, back to where it came from: Ethernet addresses, IPv4 addresses and ports change
/// places, which no checksum notices.
fn echo(frame: &[u8]) -> Vec<u8> {
    let mut back = frame.to_vec();
    let mut swap = |one: usize, other: usize, length: usize| {
        if back.len() >= other + length {
            for index in 0..length {
                back.swap(one + index, other + index);
            }
        }
    };
    swap(0, 6, 6);
    if frame.get(12..14) == Some(&[8, 0]) {
        swap(26, 30, 4);
        swap(34, 36, 2);
    }
    back
}
