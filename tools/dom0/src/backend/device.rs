//! One vbd, from its nodes to their removal.

use super::connection::{Conduct, Connection, Offer, Served};
use super::disk::Disk;
use super::options::Options;
use super::order::Order;
use super::states::{Step, next_step};
use crate::xen::gntdev::Gntdev;
use crate::xen::store::Store;
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};
use xen_abi::io::xenbus::XenbusState;

/// The domain that the backend runs in.
const DOM0: u32 = 0;
/// How long a frontend may take to close.
const CLOSE: Duration = Duration::from_secs(10);
/// `VDISK_READONLY` of blkif.h.
const READ_ONLY: u32 = 4;

/// The backend of one vbd.
struct Device {
    options: Options,
    store: Store,
    grants: Gntdev,
    disk: Disk,
    /// The directories, both ends'.
    front: String,
    back: String,
    state: XenbusState,
    connection: Option<Connection>,
    conduct: Conduct,
    /// Answers no request.
    holding: bool,
    /// Does not follow the frontend's state.
    frozen: bool,
}

/// Makes the vbd and serves it until the standard input ends.
///
/// # Errors
/// What dom0's devices, xenstore or the disk's file say.
pub fn run(options: Options) -> Result<()> {
    let mut device = Device::new(options)?;
    device.attach()?;
    let served = device.obey();
    device.remove()?;
    served
}

impl Device {
    fn new(options: Options) -> Result<Self> {
        let Options { domain, vdev, .. } = options;
        let offer = Offer {
            flush: options.flush,
            barrier: options.barrier,
            indirect: options.indirect,
            read_only: options.read_only,
        };
        Ok(Self {
            store: Store::open()?,
            grants: Gntdev::open().context("/dev/xen/gntdev")?,
            disk: Disk::open(&options.disk)?,
            front: format!("/local/domain/{domain}/device/vbd/{vdev}"),
            back: format!("/local/domain/{DOM0}/backend/qdisk/{domain}/{vdev}"),
            state: XenbusState::Initialising,
            connection: None,
            conduct: Conduct {
                offer,
                lie: None,
                keep: options.keep,
                kept: Vec::new(),
                served: Served::default(),
            },
            holding: false,
            frozen: !options.states.is_empty(),
            options,
        })
    }

    /// Makes both ends' nodes, all at once, as libxl does.
    fn attach(&mut self) -> Result<()> {
        let (front, back, options) = (&self.front, &self.back, &self.options);
        let first = options.states.first().copied();
        let number = |number: u32| number.to_string();
        let back_keys = [
            ("frontend", front.clone()),
            ("frontend-id", number(options.domain)),
            ("online", number(1)),
            ("state", number(first.unwrap_or(1))),
            ("mode", if options.read_only { "r" } else { "w" }.to_owned()),
            ("type", "qdisk".to_owned()),
        ];
        let front_keys = [
            (
                "backend",
                options.link.clone().unwrap_or_else(|| back.clone()),
            ),
            ("backend-id", number(DOM0)),
            ("state", number(1)),
            ("virtual-device", number(options.vdev)),
            ("device-type", "disk".to_owned()),
        ];
        self.store.transaction(|store| {
            if store.read(&format!("{front}/state"))?.is_some() {
                bail!("{front} is there already");
            }
            store.make_directory(back, DOM0, options.domain)?;
            store.make_directory(front, options.domain, DOM0)?;
            for (key, value) in &back_keys {
                store.write(&format!("{back}/{key}"), value)?;
            }
            for (key, value) in &front_keys {
                store.write(&format!("{front}/{key}"), value)?;
            }
            Ok(())
        })?;
        self.store.watch(&format!("{front}/state"))?;
        if first.is_none() {
            return self.offer();
        }
        for _ in 0..self.options.repeat {
            for state in self.options.states.clone() {
                self.store
                    .write(&format!("{}/state", self.back), &state.to_string())?;
                thread::sleep(self.options.state_time);
            }
        }
        Ok(())
    }

    /// Serves the ring and obeys orders until they end.
    fn obey(&mut self) -> Result<()> {
        let stdin = io::stdin();
        let mut orders = Vec::new();
        loop {
            if self.turn(true, None)? {
                let mut bytes = [0; 4096];
                let count = rustix::io::read(&stdin, &mut bytes)?;
                if count == 0 {
                    return Ok(());
                }
                orders.extend_from_slice(&bytes[..count]);
            }
            while let Some(end) = orders.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = orders.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                let answer = match Order::parse(&line).and_then(|order| self.follow(order)) {
                    Ok(said) => format!("ok {said}"),
                    Err(error) => format!("failed {error:#}"),
                };
                writeln!(io::stdout(), "{answer}")?;
            }
        }
    }

    fn follow(&mut self, order: Order) -> Result<String> {
        match order {
            Order::Set(key, value) => self.store.write(&format!("{}/{key}", self.back), &value)?,
            Order::Lie(lie) => self.conduct.lie = lie,
            Order::Jump(by) => self.connected()?.jump(by)?,
            Order::Storm(count) => {
                let connection = self.connected()?;
                for _ in 0..count {
                    connection.port.notify()?;
                }
            }
            Order::Hold => self.holding = true,
            Order::Freeze => self.frozen = true,
            Order::Vanish => {
                self.frozen = true;
                self.store.remove(&self.back)?;
            }
            Order::Release => {
                self.conduct.kept.clear();
                if self.frozen {
                    self.connection = None;
                }
            }
            Order::Detach => self.detach()?,
            Order::Served => return Ok(self.conduct.served.to_string()),
        }
        Ok(String::new())
    }

    fn connected(&self) -> Result<&Connection> {
        self.connection.as_ref().context("it is not connected")
    }

    /// Waits, until `deadline` if there is one, for something to do, and does it; whether there are
    /// orders.
    fn turn(&mut self, listens: bool, deadline: Option<Instant>) -> Result<bool> {
        if !self.frozen && self.follow_frontend()? {
            return Ok(false);
        }
        let stdin = io::stdin();
        let mut waits = vec![PollFd::new(&self.store, PollFlags::IN)];
        if listens {
            waits.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let port = self.connection.as_ref().filter(|_| !self.holding);
        waits.extend(
            port.map(|connection| PollFd::from_borrowed_fd(connection.port.as_fd(), PollFlags::IN)),
        );
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        if !self.store.has_event() {
            poll(&mut waits, left.as_ref())?;
        }
        let ready: Vec<bool> = waits
            .iter()
            .map(|wait| !wait.revents().is_empty())
            .collect();
        drop(waits);
        if ready[0] || self.store.has_event() {
            self.store.take_events()?;
        }
        if ready.get(1 + usize::from(listens)) == Some(&true) {
            self.serve()?;
        }
        Ok(listens && ready[1])
    }

    fn serve(&mut self) -> Result<()> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        connection.port.take()?;
        let served = connection.serve(&self.grants, &self.disk, &mut self.conduct);
        // A frontend that is about to go may take its port with it.
        if let Err(error) = served {
            eprintln!("backend: {error:#}");
        }
        Ok(())
    }

    /// Does what follows from the frontend's state; whether that is anything.
    fn follow_frontend(&mut self) -> Result<bool> {
        let front = self.front_state()?;
        match next_step(self.state, front) {
            Step::Nothing => return Ok(false),
            Step::Offer => self.offer()?,
            Step::Connect => self.connect()?,
            Step::Close(state) => {
                self.disconnect();
                self.publish(&[], state)?;
            }
        }
        Ok(true)
    }

    fn front_state(&mut self) -> Result<Option<XenbusState>> {
        let text = self.store.read(&format!("{}/state", self.front))?;
        let number = text.and_then(|text| text.parse().ok());
        Ok(number.and_then(XenbusState::from_number))
    }

    /// Writes what the backend says, or what it is to say instead, and goes to `state`.
    fn publish(&mut self, keys: &[(&str, String)], state: XenbusState) -> Result<()> {
        let (back, other) = (&self.back, &self.options.keys);
        self.store.transaction(|store| {
            for (key, value) in keys {
                let other = other.iter().find(|(name, _)| name == key);
                let value = other.map_or(value, |(_, value)| value);
                store.write(&format!("{back}/{key}"), value)?;
            }
            store.write(&format!("{back}/state"), &state.number().to_string())
        })?;
        self.state = state;
        Ok(())
    }

    fn offer(&mut self) -> Result<()> {
        let mut keys = vec![("max-ring-page-order", self.options.ring_order.to_string())];
        if self.options.indirect > 0 {
            let segments = self.options.indirect.to_string();
            keys.push(("feature-max-indirect-segments", segments));
        }
        self.publish(&keys, XenbusState::InitWait)
    }

    fn connect(&mut self) -> Result<()> {
        let references = match self.front_number("ring-page-order")? {
            None => vec![self.needed("ring-ref")?],
            Some(order) if order <= self.options.ring_order => (0..1 << order)
                .map(|index| self.needed(&format!("ring-ref{index}")))
                .collect::<Result<_>>()?,
            Some(order) => bail!("a ring of 2^{order} pages was not offered"),
        };
        let port = self.needed("event-channel")?;
        let served = &mut self.conduct.served;
        let domain = self.options.domain;
        self.connection = Some(Connection::open(
            domain,
            &self.grants,
            &references,
            port,
            served,
        )?);
        let options = &self.options;
        let keys = [
            ("sectors", self.disk.sectors().to_string()),
            ("sector-size", options.sector_size.to_string()),
            (
                "info",
                (u32::from(options.read_only) * READ_ONLY).to_string(),
            ),
            ("feature-flush-cache", u32::from(options.flush).to_string()),
            ("feature-barrier", u32::from(options.barrier).to_string()),
        ];
        self.publish(&keys, XenbusState::Connected)
    }

    fn front_number(&mut self, key: &str) -> Result<Option<u32>> {
        let path = format!("{}/{key}", self.front);
        let text = self.store.read(&path)?;
        let number = text.map(|text| text.parse().with_context(|| format!("{path}: {text:?}")));
        number.transpose()
    }

    fn needed(&mut self, key: &str) -> Result<u32> {
        let number = self.front_number(key)?;
        number.with_context(|| format!("{}/{key} is missing", self.front))
    }

    /// Lets go of the ring, or keeps its pages as it keeps others.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.options.keep > 0
        {
            self.conduct.kept.push(connection.into_pages());
        }
    }

    /// What libxl does: the frontend is asked to close, and then all nodes go.
    fn detach(&mut self) -> Result<()> {
        let back = &self.back;
        self.store.transaction(|store| {
            store.write(&format!("{back}/online"), "0")?;
            store.write(&format!("{back}/state"), "5")
        })?;
        self.state = XenbusState::Closing;
        let deadline = Instant::now() + CLOSE;
        while self.state != XenbusState::Closed {
            if Instant::now() >= deadline {
                bail!(
                    "the frontend does not close: it is {:?}",
                    self.front_state()?
                );
            }
            self.turn(false, Some(deadline))?;
            if self.frozen && matches!(self.front_state()?, Some(XenbusState::Closed) | None) {
                self.disconnect();
                self.state = XenbusState::Closed;
            }
        }
        self.frozen = true;
        self.remove()
    }

    /// Removes the nodes of both ends.
    fn remove(&mut self) -> Result<()> {
        let (front, back) = (&self.front, &self.back);
        self.store.transaction(|store| {
            store.remove(front)?;
            store.remove(back)
        })
    }
}
