//! Obeys the orders about xenstore.

use super::device::Frontend;
use super::keys::{Change, changed, honest};
use super::nodes::BackState;
use super::order::place::{Awaited, Flood, Place};
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

const INIT_WAIT: u32 = 2;
const CONNECTED: u32 = 4;
const CLOSING: u32 = 5;
const CLOSED: u32 = 6;

/// What a backend offers: its key, what it is called here, and what its absence means.
const OFFERS: [(&str, &str, u64); 9] = [
    ("sectors", "sectors", 0),
    ("sector-size", "sector-size", 512),
    ("info", "info", 0),
    ("feature-flush-cache", "flush", 0),
    ("feature-barrier", "barrier", 0),
    ("feature-discard", "discard", 0),
    ("feature-persistent", "persistent", 0),
    ("feature-max-indirect-segments", "indirect", 0),
    ("multi-queue-max-queues", "max-queues", 1),
];

impl Frontend {
    pub(super) fn handshake(&mut self, order: Place) -> Result<String> {
        let nodes = &mut self.nodes;
        match order {
            Place::Attach => nodes.attach()?,
            Place::Publish(changes) => self.publish(&changes)?,
            Place::Connect(limit) => return self.connect(limit),
            Place::Wait(awaited, limit) => return Ok(nodes.wait(&awaited, limit)?.to_string()),
            Place::Set(key, value) => nodes.set(&key, &value)?,
            Place::Unset(key) => nodes.unset(&key)?,
            Place::Tell(key, value) => nodes.tell(&key, &value)?,
            Place::Read(key) => {
                let value = nodes.read(&key)?;
                return value.with_context(|| format!("there is no {key}"));
            }
            Place::Flood(flood) => return self.flood(&flood),
            Place::Close(limit) => return self.close(limit),
            Place::Detach { silent, limit } => return nodes.detach(!silent, limit),
            Place::Force(limit) => return nodes.force(limit),
            Place::Vanish => nodes.vanish()?,
        }
        Ok(String::new())
    }

    /// Makes the rings empty and says where they are, with the changes.
    fn publish(&mut self, changes: &[Change]) -> Result<()> {
        self.queues.iter_mut().for_each(|queue| queue.reset());
        let places: Vec<_> = self.queues.iter().map(|queue| queue.place()).collect();
        let keys = changed(&honest(&self.shape, &places), changes)?;
        self.nodes.publish(&keys)
    }

    /// What Linux's blkfront does.
    fn connect(&mut self, limit: Duration) -> Result<String> {
        self.nodes.wait(&[Awaited::State(INIT_WAIT)], limit)?;
        self.publish(&[])?;
        let ends = [CONNECTED, CLOSING, CLOSED].map(Awaited::State);
        let state = self.nodes.wait(&ends, limit)?;
        ensure!(
            state == BackState::State(CONNECTED),
            "the backend's state is {state}"
        );
        let mut offers = Vec::new();
        for (key, name, otherwise) in OFFERS {
            let value = self.nodes.number(key)?.unwrap_or(otherwise);
            offers.push(format!("{name}={value}"));
        }
        self.nodes.set_state(CONNECTED)?;
        let entries = self.queues.first().map_or(0, |queue| queue.capacity());
        offers.push(format!("entries={entries}"));
        Ok(offers.join(" "))
    }

    fn close(&mut self, limit: Duration) -> Result<String> {
        self.nodes.set_state(CLOSING)?;
        let awaited = [CLOSING, CLOSED].map(Awaited::State);
        self.nodes.wait(&awaited, limit)?;
        self.nodes.set_state(CLOSED)?;
        let state = self
            .nodes
            .wait(&[Awaited::State(CLOSED), Awaited::Gone], limit)?;
        Ok(state.to_string())
    }

    /// Writes a node as often and as fast as it is wanted.
    fn flood(&mut self, flood: &Flood) -> Result<String> {
        let start = Instant::now();
        let values = flood.values.iter().cycle().take(flood.times as usize);
        for value in values {
            self.nodes.set(&flood.key, value)?;
            pause(flood.pause);
        }
        Ok(format!("ms={}", start.elapsed().as_millis()))
    }
}

/// Sleeps if there is a time to.
pub(super) fn pause(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}
