//! Xenbus states and keys, in the order Linux's netback goes through them (`xenbus.c`).

use std::rc::Rc;

use hv::{Access, GrantRef, Port};

use super::Backend;
use super::connection::{Connection, Queue};
use crate::{Memory, Next, Xen};

pub(super) const INITIALISING: u32 = 1;
const INIT_WAIT: u32 = 2;
pub(super) const CONNECTED: u32 = 4;
pub(super) const CLOSING: u32 = 5;
const CLOSED: u32 = 6;

impl Backend {
    fn front_key(&self, key: &str) -> Option<String> {
        self.store
            .read(&format!("{}/{key}", self.vif.frontend_path()))
    }

    fn front_number(&self, key: &str) -> Result<u32, String> {
        let text = self.front_key(key).ok_or(format!("no {key}"))?;
        text.parse().map_err(|_| format!("{key} is {text:?}"))
    }

    fn front_says(&self, key: &str) -> bool {
        self.front_number(key).is_ok_and(|value| value != 0)
    }

    fn frontend_state(&self) -> Option<u32> {
        self.front_key("state")?.parse().ok()
    }

    fn is_online(&self) -> bool {
        let online = format!("{}/online", self.vif.backend_path());
        self.store.read(&online).is_some_and(|online| online == "1")
    }

    /// Writes keys of the own directory together, with the lies that malice has; nothing if the
    /// directory is gone.
    pub(super) fn publish(&self, keys: &[(&str, Option<String>)]) {
        let home = self.vif.backend_path();
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
        let config = &self.config;
        // Linux writes those that it has, and leaves the others out.
        let flag = |set: bool| set.then(|| String::from("1"));
        let carrier = |up: bool| u32::from(up).to_string();
        self.publish(&[
            ("feature-sg", flag(config.sg)),
            ("feature-gso-tcpv4", flag(config.gso_tcpv4)),
            ("feature-gso-tcpv6", flag(config.gso_tcpv6)),
            ("feature-ipv6-csum-offload", flag(config.ipv6_csum)),
            ("feature-no-csum-offload", flag(config.no_csum)),
            ("feature-rx-copy", flag(config.rx_copy)),
            ("feature-rx-flip", Some("0".into())),
            ("feature-xdp-headroom", Some("1".into())),
            ("feature-multicast-control", flag(config.multicast)),
            ("feature-dynamic-multicast-control", flag(config.multicast)),
            ("feature-split-event-channels", flag(config.split)),
            (
                "multi-queue-max-queues",
                config.queues.map(|queues| queues.to_string()),
            ),
            ("feature-ctrl-ring", flag(config.control_ring)),
            ("carrier", config.carrier.map(carrier)),
            ("hotplug-status", Some("connected".into())),
        ]);
    }

    /// Says whether the cable is in.
    pub(super) fn set_carrier(&mut self, up: bool) {
        self.config.carrier = Some(up);
        self.publish(&[("carrier", Some(u32::from(up).to_string()))]);
    }

    /// Goes on as far as the frontend's state allows.
    pub(super) fn handshake(&mut self, xen: &Xen) {
        let status = format!("{}/hotplug-status", self.vif.backend_path());
        if self.state != INITIALISING && self.store.read(&status).as_deref() == Some("") {
            // The toolstack has made the device anew: it is another one.
            self.drop_connection(xen);
            self.finished = true;
            return;
        }
        if self.state == INITIALISING {
            self.offer();
            self.switch(INIT_WAIT);
        }
        match self.frontend_state() {
            Some(INITIALISING) if self.state == CLOSED && self.is_online() => {
                self.offer();
                self.switch(INIT_WAIT);
            }
            Some(CONNECTED) if self.state == INIT_WAIT => {
                if !self.config.malice.never_map {
                    if let Err(why) = self.connect(xen) {
                        self.refuse(xen, &why);
                        return;
                    }
                    self.connections += 1;
                }
                self.switch(CONNECTED);
            }
            Some(CLOSING) if self.state < CLOSING => self.switch(CLOSING),
            Some(CLOSED) | None if self.state != CLOSED => {
                self.drop_connection(xen);
                self.switch(CLOSED);
            }
            _ => {}
        }
        // A device that is offline and closed is taken away.
        if self.state == CLOSED && !self.is_online() {
            self.finished = true;
        }
    }

    pub(super) fn drop_connection(&mut self, xen: &Xen) {
        self.disabled = None;
        if let Some(connection) = self.connection.take() {
            for queue in &connection.queues {
                for port in queue.ports() {
                    // Already closed, if the domain is gone.
                    let _ = xen.evtchn_close(self.vif.backend, port);
                }
                let lost = queue.waiting.len() + queue.jobs.len();
                self.served.lost += lost as u64;
            }
        }
    }

    /// Gives the device up, and says why where the toolstack looks.
    fn refuse(&mut self, xen: &Xen, why: &str) {
        let (home, vif) = (self.vif.backend, self.vif);
        let path = format!(
            "/local/domain/{home}/error/backend/vif/{}/{}/error",
            vif.guest, vif.devid
        );
        self.store.write(&path, why);
        // A device that is being taken away may be gone halfway.
        if self.is_online() {
            self.complain(xen, &format!("refused to connect: {why}"));
        }
        self.switch(CLOSING);
    }

    /// Maps the rings and binds the ports that the frontend published.
    fn connect(&mut self, xen: &Xen) -> Result<(), String> {
        let queues = match self.front_number("multi-queue-num-queues") {
            Err(_) => 1,
            Ok(queues) if (1..=self.config.queues.unwrap_or(1)).contains(&queues) => queues,
            Ok(queues) => return Err(format!("{queues} queues were not offered")),
        };
        if !self.front_says("request-rx-copy") {
            return Err("request-rx-copy is not set".into());
        }
        if !self.front_says("feature-rx-notify") {
            return Err("feature-rx-notify is not set".into());
        }
        self.check_asked()?;
        let mut opened = Vec::new();
        for index in 0..queues {
            let folder = match queues {
                1 => String::new(),
                _ => format!("queue-{index}/"),
            };
            opened.push(self.connect_queue(xen, &folder)?);
        }
        self.served.queues = queues;
        self.connection = Some(Connection {
            queues: opened,
            takes_sg: self.front_says("feature-sg"),
            takes_gso: [
                self.front_says("feature-gso-tcpv4"),
                self.front_says("feature-gso-tcpv6"),
            ],
            takes_blank: [
                !self.front_says("feature-no-csum-offload"),
                self.front_says("feature-ipv6-csum-offload"),
            ],
            multicast_control: self.config.multicast
                && self.front_says("request-multicast-control"),
            multicast: Vec::new(),
            answered: 0,
            delivered: 0,
        });
        Ok(())
    }

    /// What a frontend may not ask for if it was not offered.
    fn check_asked(&self) -> Result<(), String> {
        let split = ["event-channel-tx", "queue-0/event-channel-tx"];
        let asked = |keys: &[&str]| keys.iter().any(|key| self.front_key(key).is_some());
        if !self.config.split && asked(&split) {
            return Err("split event channels were not offered".into());
        }
        if !self.config.multicast && self.front_says("request-multicast-control") {
            return Err("multicast control was not offered".into());
        }
        let gso = self.front_says("feature-gso-tcpv4") || self.front_says("feature-gso-tcpv6");
        if gso && !self.front_says("feature-sg") {
            return Err("feature-gso-tcpv4 without feature-sg".into());
        }
        Ok(())
    }

    /// Maps the rings and binds the ports whose keys begin with `folder`.
    fn connect_queue(&mut self, xen: &Xen, folder: &str) -> Result<Queue, String> {
        let number = |key: &str| self.front_number(&format!("{folder}{key}"));
        let (own, guest) = (self.vif.backend, self.vif.guest);
        let map = |key: &str| -> Result<Memory, String> {
            let entry = GrantRef(number(key)?);
            let page = xen.grant_map_one(own, guest, entry, Access::ReadWrite);
            page.map_err(|status| format!("{key} {entry}: {status}"))
        };
        let rings = (map("tx-ring-ref")?, map("rx-ring-ref")?);
        let ports = match (number("event-channel-tx"), number("event-channel-rx")) {
            (Ok(tx), Ok(rx)) => vec![Port(tx), Port(rx)],
            _ => vec![Port(number("event-channel")?)],
        };
        if self.config.malice.map_twice {
            let again = [map("tx-ring-ref")?, map("rx-ring-ref")?];
            self.kept.extend(again.map(Rc::new));
        }
        let mut bound = Vec::new();
        for remote in ports {
            let port = xen.evtchn_bind_interdomain(own, guest, remote);
            let port = port.map_err(|error| format!("port {remote}: {error}"))?;
            if let Some(actor) = self.actor {
                xen.own_port(own, port, actor);
            }
            bound.push(port);
        }
        let ports = (bound[0], bound[bound.len() - 1]);
        let queue = Queue::open(rings, ports, guest, &self.config.malice, xen);
        queue.map_err(|fault| fault.to_string())
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
