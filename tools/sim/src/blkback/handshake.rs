//! Xenbus states and keys, in the order Linux's blkback goes through them.

use std::rc::Rc;

use hv::{Access, GrantRef, Port};
use ring::Pages;

use super::Backend;
use super::connection::Connection;
use crate::{Memory, Next, Xen};

pub(super) const INITIALISING: u32 = 1;
const INIT_WAIT: u32 = 2;
const INITIALISED: u32 = 3;
pub(super) const CONNECTED: u32 = 4;
pub(super) const CLOSING: u32 = 5;
const CLOSED: u32 = 6;

/// `VDISK_READONLY`.
const READ_ONLY: u32 = 4;

impl Backend {
    fn front_key(&self, key: &str) -> Option<String> {
        self.store
            .read(&format!("{}/{key}", self.vbd.frontend_path()))
    }

    fn frontend_state(&self) -> Option<u32> {
        self.front_key("state")?.parse().ok()
    }

    fn is_online(&self) -> bool {
        let online = format!("{}/online", self.vbd.backend_path());
        self.store.read(&online).is_some_and(|online| online == "1")
    }

    /// Writes keys of the own directory together, with the lies that malice has; nothing if the
    /// directory is gone.
    fn publish(&self, keys: &[(&str, Option<String>)]) {
        let home = self.vbd.backend_path();
        if !self.store.exists(&home) {
            return;
        }
        let lies = &self.config.malice.keys;
        let mut values: Vec<(String, Option<String>)> = Vec::new();
        for (key, value) in keys {
            let told = lies.iter().find(|(lie, _)| lie == key);
            let value = told.map_or_else(|| value.clone(), |(_, lie)| lie.clone());
            values.push((format!("{home}/{key}"), value));
        }
        for (key, value) in lies {
            if !keys.iter().any(|(published, _)| published == key) && key != "state" {
                values.push((format!("{home}/{key}"), value.clone()));
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

    pub(super) fn switch(&mut self, state: u32) {
        if self.state != state {
            self.state = state;
            self.publish(&[("state", Some(state.to_string()))]);
        }
    }

    /// What stands in the directory before InitWait.
    fn offer(&self) {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let config = &self.config;
        self.publish(&[
            ("max-ring-page-order", number(config.ring_order)),
            ("max-ring-pages", number(config.ring_pages)),
            (
                "feature-max-indirect-segments",
                number(config.indirect_segments),
            ),
            ("hotplug-status", Some("connected".into())),
        ]);
    }

    /// What stands in the directory before Connected, and Connected with it.
    fn announce(&mut self) {
        let flag = |set: bool| Some(u32::from(set).to_string());
        let config = &self.config;
        let discard = |value: u64| config.discard.then(|| value.to_string());
        let (granularity, alignment) = config.extents();
        let info = if config.read_only { READ_ONLY } else { 0 };
        let keys = [
            ("feature-flush-cache", flag(config.flush)),
            ("feature-barrier", flag(config.barrier)),
            (
                "feature-persistent",
                config.persistent.map(|_| String::from("1")),
            ),
            ("feature-discard", flag(config.discard)),
            ("discard-granularity", discard(granularity)),
            ("discard-alignment", discard(alignment)),
            (
                "discard-secure",
                config.secure_discard.then(|| String::from("1")),
            ),
            ("sectors", Some(config.sectors.to_string())),
            ("info", Some(info.to_string())),
            ("sector-size", Some(config.sector_size.to_string())),
            (
                "physical-sector-size",
                config.physical_sector_size.map(|size| size.to_string()),
            ),
            ("state", Some(CONNECTED.to_string())),
        ];
        self.state = CONNECTED;
        self.publish(&keys);
    }

    pub(super) fn resize(&mut self, sectors: u64) {
        self.config.sectors = sectors;
        if self.state == CONNECTED {
            self.publish(&[
                ("sectors", Some(sectors.to_string())),
                ("state", Some(CONNECTED.to_string())),
            ]);
        }
    }

    /// Goes on as far as the frontend's state allows.
    pub(super) fn handshake(&mut self, xen: &Xen) {
        if self.state == INITIALISING {
            self.offer();
            self.switch(INIT_WAIT);
        }
        match self.frontend_state() {
            Some(INITIALISING) if self.state == CLOSED && self.is_online() => {
                self.offer();
                self.switch(INIT_WAIT);
            }
            Some(INITIALISED | CONNECTED) if self.state == INIT_WAIT => {
                if self.config.malice.never_map {
                    self.announce();
                } else if let Err(why) = self.connect(xen) {
                    self.fail(&why);
                } else {
                    self.announce();
                }
            }
            Some(CLOSING) if self.state < CLOSING => self.switch(CLOSING),
            Some(CLOSED) | None if self.state != CLOSED => self.disconnect(xen),
            _ => {}
        }
        // A device that is offline and closed is taken away.
        if self.state == CLOSED && !self.is_online() {
            self.finished = true;
        }
    }

    /// Unmaps and closes, once no request is under way: a backend cannot take a page back from a
    /// disk that is still writing to it.
    fn disconnect(&mut self, xen: &Xen) {
        if self.connection.as_ref().is_none_or(|c| c.pending() == 0) {
            self.drop_connection(xen);
            self.switch(CLOSED);
        }
    }

    pub(super) fn drop_connection(&mut self, xen: &Xen) {
        if let Some(connection) = self.connection.take() {
            // Already closed, if the domain is gone.
            let _ = xen.evtchn_close(self.vbd.backend, connection.port);
        }
    }

    /// Gives the device up, and says why where the toolstack looks.
    pub(super) fn fail(&mut self, why: &str) {
        let (home, vbd) = (self.vbd.backend, self.vbd);
        let path = format!(
            "/local/domain/{home}/error/backend/vbd/{}/{}/error",
            vbd.guest, vbd.devid
        );
        self.store.write(&path, why);
        self.switch(CLOSING);
    }

    /// Maps the ring and binds the port that the frontend published.
    fn connect(&mut self, xen: &Xen) -> Result<(), String> {
        let number = |key: &str| -> Result<u32, String> {
            let text = self.front_key(key).ok_or(format!("no {key}"))?;
            text.parse().map_err(|_| format!("{key} is {text:?}"))
        };
        let protocol = self.front_key("protocol");
        if protocol.is_some_and(|protocol| protocol != "x86_64-abi") {
            return Err("unknown protocol".into());
        }
        let mut entries = Vec::new();
        match number("ring-page-order") {
            Ok(order) if order <= self.config.ring_order.unwrap_or(0) => {
                for page in 0..1u32 << order {
                    entries.push(GrantRef(number(&format!("ring-ref{page}"))?));
                }
            }
            Ok(order) => return Err(format!("ring-page-order {order} was not offered")),
            Err(_) => entries.push(GrantRef(number("ring-ref")?)),
        }
        let remote_port = Port(number("event-channel")?);
        let both = number("feature-persistent") == Ok(1);
        let persistent = self.config.persistent.filter(|_| both).unwrap_or(0);
        let (own, guest) = (self.vbd.backend, self.vbd.guest);
        let map = || -> Result<Vec<Memory>, String> {
            let pages = entries.iter().map(|entry| {
                xen.grant_map_one(own, guest, *entry, Access::ReadWrite)
                    .map_err(|status| format!("ring page {entry}: {status}"))
            });
            pages.collect()
        };
        let pages = map()?;
        if self.config.malice.map_twice {
            self.kept.extend(map()?.into_iter().map(Rc::new));
        }
        let port = xen
            .evtchn_bind_interdomain(own, guest, remote_port)
            .map_err(|error| format!("port {remote_port}: {error}"))?;
        if let Some(actor) = self.actor {
            xen.own_port(own, port, actor);
        }
        let connection = Connection::open(Pages::new(pages), port, guest, &self.config.malice, xen);
        match connection {
            Ok(mut connection) => {
                connection.keep_mapped(persistent);
                self.served.ring_entries = connection.entries();
                self.connection = Some(connection);
                Ok(())
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// Follows the malice script instead of the handshake; `None` when there is none, or it is over
    /// and the honest handshake may go on.
    pub(super) fn follow_script(&mut self, xen: &Xen) -> Option<Next> {
        let malice = &self.config.malice;
        if let Some(&state) = malice.states.get(self.scripted) {
            if xen.now() >= self.next_script {
                self.next_script = xen.now().after(malice.state_time);
                self.scripted += 1;
                self.state = state;
                self.publish(&[("state", Some(state.to_string()))]);
            }
            return Some(Next::At(self.next_script));
        }
        (!malice.states.is_empty() && malice.then_silent).then_some(Next::Wait)
    }
}
