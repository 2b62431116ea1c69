//! A backend's directory on xenbus and its frontend's: keys, states, and when to look at them.

use std::time::Duration;

use hv::Instant;

use crate::xenstored::Watching;
use crate::{ActorId, Next, Xen, Xenstored};

pub(crate) const INITIALISING: u32 = 1;
pub(crate) const INIT_WAIT: u32 = 2;
pub(crate) const INITIALISED: u32 = 3;
pub(crate) const CONNECTED: u32 = 4;
pub(crate) const CLOSING: u32 = 5;
pub(crate) const CLOSED: u32 = 6;

/// A key of the backend's directory; without a value it is not there.
pub(crate) type Key = (&'static str, Option<String>);

/// What malice has a backend do on xenbus.
pub(crate) struct Script<'a> {
    /// Values that stand in its directory whatever the truth is.
    pub(crate) keys: &'a [(String, Option<String>)],
    /// States that it goes through instead of the handshake, and how long each stands.
    pub(crate) states: &'a [u32],
    pub(crate) state_time: Duration,
    /// After them it never writes a state again.
    pub(crate) then_silent: bool,
    /// It says Connected without having mapped anything.
    pub(crate) never_map: bool,
}

/// A backend's place on xenbus.
pub(crate) struct Bus {
    store: Xenstored,
    front: String,
    own: String,
    /// The state last written (XenbusState); 1 until the directory is found.
    pub(crate) state: u32,
    watches: Vec<Watching>,
    actor: Option<ActorId>,
    /// The states have to be looked at.
    pub(crate) look: bool,
    pub(crate) frozen: bool,
    pub(crate) finished: bool,
    /// States of the script already gone through, and when the next is due.
    scripted: usize,
    next_script: Instant,
}

impl Bus {
    /// The place of the backend whose directories these are.
    pub(crate) fn new(xen: &Xen, store: &Xenstored, front: String, own: String) -> Self {
        Self {
            store: store.clone(),
            front,
            own,
            state: INITIALISING,
            watches: Vec::new(),
            actor: None,
            look: true,
            frozen: false,
            finished: false,
            scripted: 0,
            next_script: xen.now(),
        }
    }

    /// Has `actor`, the backend, woken when there may be something new.
    pub(crate) fn watch(&mut self, actor: ActorId) {
        self.actor = Some(actor);
        let front = self.store.watch(&format!("{}/state", self.front), actor);
        let own = self.store.watch(&format!("{}/online", self.own), actor);
        self.watches = vec![front, own];
    }

    pub(crate) fn unwatch(&mut self) {
        self.watches.clear();
    }

    /// Takes what the watches have seen.
    pub(crate) fn drain(&mut self) {
        for watch in &self.watches {
            self.look |= watch.drain();
        }
    }

    /// Who is to be woken for the device.
    pub(crate) fn actor(&self) -> Option<ActorId> {
        self.actor
    }

    /// A key of the frontend's.
    pub(crate) fn front_key(&self, key: &str) -> Option<String> {
        self.store.read(&format!("{}/{key}", self.front))
    }

    pub(crate) fn front_number(&self, key: &str) -> Result<u32, String> {
        let text = self.front_key(key).ok_or(format!("no {key}"))?;
        text.parse().map_err(|_| format!("{key} is {text:?}"))
    }

    pub(crate) fn front_says(&self, key: &str) -> bool {
        self.front_number(key).is_ok_and(|value| value != 0)
    }

    pub(crate) fn frontend_state(&self) -> Option<u32> {
        self.front_key("state")?.parse().ok()
    }

    /// A key of its own.
    pub(crate) fn own_key(&self, key: &str) -> Option<String> {
        self.store.read(&format!("{}/{key}", self.own))
    }

    pub(crate) fn is_online(&self) -> bool {
        self.own_key("online").is_some_and(|online| online == "1")
    }

    /// Writes a key of its own, whatever is true.
    pub(crate) fn write_key(&self, key: &str, value: &str) {
        self.store.write(&format!("{}/{key}", self.own), value);
    }

    /// Writes keys of its own together, with these lies; nothing if the directory is gone.
    pub(crate) fn publish(&self, keys: &[Key], lies: &[(String, Option<String>)]) {
        if !self.store.exists(&self.own) {
            return;
        }
        let mut values: Vec<(String, Option<String>)> = Vec::new();
        for (key, value) in keys {
            let told = lies.iter().find(|(lie, _)| lie == key);
            let value = told.map_or_else(|| value.clone(), |(_, lie)| lie.clone());
            values.push((format!("{}/{key}", self.own), value));
        }
        for (key, value) in lies {
            if !keys.iter().any(|(published, _)| published == key) && key != "state" {
                values.push((format!("{}/{key}", self.own), value.clone()));
            }
        }
        // What has no value and is not there need not be removed.
        let edits: Vec<_> = values
            .iter()
            .filter(|(path, value)| value.is_some() || self.store.exists(path))
            .map(|(path, value)| (path.as_str(), value.as_ref().map(String::as_bytes)))
            .collect();
        self.store.together(&edits);
    }

    /// Writes a state.
    pub(crate) fn switch(&mut self, state: u32, lies: &[(String, Option<String>)]) {
        self.state = state;
        self.publish(&[("state", Some(state.to_string()))], lies);
    }

    /// Writes why the device is given up, where the toolstack looks.
    pub(crate) fn report(&self, why: &str) {
        let errors = self.own.replacen("/backend/", "/error/backend/", 1);
        self.store.write(&format!("{errors}/error"), why);
    }

    /// Follows the script instead of the handshake; `None` when there is none, or it is over and
    /// the honest handshake may go on.
    pub(crate) fn follow(&mut self, xen: &Xen, script: &Script<'_>) -> Option<Next> {
        if let Some(&state) = script.states.get(self.scripted) {
            if xen.now() >= self.next_script {
                self.next_script = xen.now().after(script.state_time);
                self.scripted += 1;
                self.switch(state, script.keys);
            }
            return Some(Next::At(self.next_script));
        }
        (!script.states.is_empty() && script.then_silent).then_some(Next::Wait)
    }
}
