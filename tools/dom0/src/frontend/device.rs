//! The frontend of one vbd: obeys orders until they end.

use super::nodes::Nodes;
use super::options::{Options, Shape};
use super::order::Order;
use super::page::Pages;
use super::queue::Queue;
use super::sweep::{self, Sweeper};
use crate::xen::evtchn::Evtchn;
use crate::xen::gntalloc::Gntalloc;
use anyhow::{Context, Result};
use std::fs;
use std::io::{self, Write};
use std::time::Duration;

/// How long the backend may take to go away at the end.
const END: Duration = Duration::from_secs(10);
/// gntalloc's limit of pages for all of its users, and what this program may want.
const LIMIT: (&str, u32) = ("/sys/module/xen_gntalloc/parameters/limit", 1 << 14);

/// All that the frontend has.
pub(super) struct Frontend {
    pub(super) backend: u32,
    pub(super) shape: Shape,
    pub(super) nodes: Nodes,
    pub(super) gntalloc: Gntalloc,
    pub(super) pages: Pages,
    pub(super) queues: Vec<Queue>,
    /// Ports to which others may bind.
    pub(super) ports: Vec<Evtchn>,
}

/// Makes the frontend and obeys until the standard input ends; then all its nodes go.
///
/// # Errors
/// What dom0's devices and xenstore say, and if the backend does not let go at the end.
pub fn run(options: Options) -> Result<()> {
    if options.sweep {
        return sweep::run(options);
    }
    let mut frontend = Frontend::new(options)?;
    let obeyed = frontend.obey();
    let left = frontend.nodes.leave(END);
    obeyed.and(left)
}

impl Frontend {
    fn new(options: Options) -> Result<Self> {
        raise_limit();
        let gntalloc = Gntalloc::open();
        let gntalloc = gntalloc.context("/dev/xen/gntalloc: is xen-gntalloc loaded?")?;
        let mut pages = Pages::default();
        pages.grant(&gntalloc, options.backend, options.pages, true)?;
        let mut frontend = Self {
            backend: options.backend,
            shape: options.shape,
            nodes: Nodes::open(options, Some(Sweeper::start()?))?,
            gntalloc,
            pages,
            queues: Vec::new(),
            ports: Vec::new(),
        };
        frontend.make_queues()?;
        Ok(frontend)
    }

    /// Makes new rings and ports in place of those there are.
    pub(super) fn make_queues(&mut self) -> Result<()> {
        let shape = self.shape;
        self.queues.clear();
        for number in 0..shape.queues as usize {
            let pages = 1 << shape.ring_order;
            let queue = Queue::new(number, self.backend, pages, shape.abi, &self.gntalloc)?;
            self.queues.push(queue);
        }
        Ok(())
    }

    /// The queue with this number.
    pub(super) fn queue(&mut self, number: usize) -> Result<&mut Queue> {
        let queue = self.queues.get_mut(number);
        queue.with_context(|| format!("there is no queue {number}"))
    }

    fn obey(&mut self) -> Result<()> {
        for line in io::stdin().lines() {
            let done = Order::parse(&line?).and_then(|order| self.follow(order));
            let answer = match done {
                Ok(said) => format!("ok {said}"),
                Err(error) => format!("failed {error:#}"),
            };
            writeln!(io::stdout(), "{answer}")?;
        }
        Ok(())
    }

    fn follow(&mut self, order: Order) -> Result<String> {
        match order {
            Order::Place(order) => self.handshake(order),
            Order::Memory(order) => self.remember(order),
            Order::Traffic(order) => self.drive(order),
        }
    }
}

/// Lets gntalloc give more pages, if it is there.
fn raise_limit() {
    let (path, wanted) = LIMIT;
    let limit = fs::read_to_string(path).ok();
    let limit: Option<u32> = limit.and_then(|text| text.trim().parse().ok());
    if limit.is_some_and(|limit| limit < wanted)
        && let Err(error) = fs::write(path, wanted.to_string())
    {
        eprintln!("frontend: {path}: {error}");
    }
}
