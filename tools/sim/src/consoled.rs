//! The console daemon: collects what a domain prints, and types for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use hv::{DomId, Port};
use ring::{ByteRing, ByteStream, StreamLayout};

use crate::{Actor, ActorId, Memory, Next, World, Xen};

/// The console page as the daemon sees it (`struct xencons_interface`).
const LAYOUT: StreamLayout = StreamLayout {
    incoming: ByteRing {
        buffer: 1024,
        length: 2048,
        cons: 3080,
        cons_name: "out_cons",
        prod: 3084,
        prod_name: "out_prod",
    },
    outgoing: ByteRing {
        buffer: 0,
        length: 1024,
        cons: 3072,
        cons_name: "in_cons",
        prod: 3076,
        prod_name: "in_prod",
    },
};

const DOM0: DomId = DomId(0);

/// The daemon of one domain's console; clones are the same one.
#[derive(Clone)]
pub struct Consoled {
    xen: Xen,
    actor: ActorId,
    state: Rc<State>,
}

struct State {
    output: RefCell<Vec<u8>>,
    input: RefCell<VecDeque<u8>>,
    held: Cell<bool>,
    broken: Cell<bool>,
    port: Cell<Port>,
}

impl Consoled {
    /// Starts the daemon for a domain.
    ///
    /// # Panics
    /// If the domain's console port is not open.
    #[must_use]
    pub fn start(world: &World, dom: DomId) -> Self {
        let (page, _) = world.console_ring_of(dom, DOM0);
        let state = Rc::new(State {
            output: RefCell::new(Vec::new()),
            input: RefCell::new(VecDeque::new()),
            held: Cell::new(false),
            broken: Cell::new(false),
            port: Cell::new(Port(0)),
        });
        let daemon = Daemon {
            stream: ByteStream::attach(page, LAYOUT),
            state: state.clone(),
        };
        let actor = world.spawn(format!("console {dom}"), Rc::new(RefCell::new(daemon)));
        let this = Self {
            xen: world.xen(),
            actor,
            state,
        };
        this.bind(dom);
        this
    }

    /// Binds to the port that the domain has for its console in its present life.
    ///
    /// # Panics
    /// If the port is not open.
    pub fn bind(&self, dom: DomId) {
        let xen = &self.xen;
        let (_, remote) = xen.console_ring_of(dom, DOM0);
        let port = xen
            .evtchn_bind_interdomain(DOM0, dom, remote)
            .expect("a new domain's port is open");
        self.state.port.set(port);
        xen.own_port(DOM0, port, self.actor);
    }

    /// All the domain has printed; what is not UTF-8 is replaced.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.state.output.borrow()).into_owned()
    }

    /// How many bytes the domain has printed.
    #[must_use]
    pub fn output_length(&self) -> usize {
        self.state.output.borrow().len()
    }

    /// Types bytes; they go in as the domain makes room.
    pub fn type_bytes(&self, bytes: impl AsRef<[u8]>) {
        self.state.input.borrow_mut().extend(bytes.as_ref());
        self.xen.wake(self.actor);
    }

    /// Stops (or goes on) taking what the domain prints.
    pub fn set_held(&self, held: bool) {
        self.state.held.set(held);
        self.xen.wake(self.actor);
    }

    /// Whether the domain broke the protocol.
    #[must_use]
    pub fn gave_up(&self) -> bool {
        self.state.broken.get()
    }
}

struct Daemon {
    stream: ByteStream<Memory>,
    state: Rc<State>,
}

impl Daemon {
    fn exchange(&mut self) -> Result<bool, ring::PeerFault> {
        let mut moved = 0;
        let mut bytes = [0; 256];
        let mut input = self.state.input.borrow_mut();
        if !input.is_empty() {
            let count = self.stream.write(input.make_contiguous())?;
            input.drain(..count);
            moved += count;
        }
        if !self.state.held.get() {
            let count = self.stream.read(&mut bytes)?;
            self.state.output.borrow_mut().extend(&bytes[..count]);
            moved += count;
        }
        Ok(moved != 0)
    }
}

impl Actor for Daemon {
    fn turn(&mut self, xen: &Xen) -> Next {
        xen.take_event(DOM0, self.state.port.get());
        if self.state.broken.get() {
            return Next::Wait;
        }
        match self.exchange() {
            Ok(false) => Next::Wait,
            Ok(true) => {
                // The domain may have closed its end: then nobody is there to be told.
                let _ = xen.evtchn_send(DOM0, self.state.port.get());
                Next::Again
            }
            Err(_) => {
                self.state.broken.set(true);
                Next::Wait
            }
        }
    }
}
