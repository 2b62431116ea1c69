//! What a network backend says and does at each step of the handshake (`xenbus.c`).

use std::rc::Rc;

use hv::{Access, GrantRef, Port};

use super::Backend;
use super::connection::{Connection, Queue};
use crate::backend::BackSide;
use crate::backend::bus::{Bus, CONNECTED, Key, Script};
use crate::{Memory, Next, Xen};

impl BackSide for Backend {
    const PUBLISHED: u32 = CONNECTED;

    fn bus(&mut self) -> (&mut Bus, Script<'_>) {
        (&mut self.bus, self.config.malice.script())
    }

    fn offer(&self) -> Vec<Key> {
        let config = &self.config;
        // Linux writes those that it has, and leaves the others out.
        let flag = |set: bool| set.then(|| String::from("1"));
        let carrier = |up: bool| u32::from(up).to_string();
        let queues = config.queues.map(|queues| queues.to_string());
        vec![
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
            ("multi-queue-max-queues", queues),
            ("feature-ctrl-ring", flag(config.control_ring)),
            ("carrier", config.carrier.map(carrier)),
            ("hotplug-status", Some("connected".into())),
        ]
    }

    fn properties(&self) -> Vec<Key> {
        Vec::new()
    }

    fn is_made_anew(&self) -> bool {
        self.bus.own_key("hotplug-status").as_deref() == Some("")
    }

    fn connect(&mut self, xen: &Xen) -> Result<(), String> {
        let queues = match self.bus.front_number("multi-queue-num-queues") {
            Err(_) => 1,
            Ok(queues) if (1..=self.config.queues.unwrap_or(1)).contains(&queues) => queues,
            Ok(queues) => return Err(format!("{queues} queues were not offered")),
        };
        if !self.bus.front_says("request-rx-copy") {
            return Err("request-rx-copy is not set".into());
        }
        if !self.bus.front_says("feature-rx-notify") {
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
            takes_sg: self.bus.front_says("feature-sg"),
            takes_gso: [
                self.bus.front_says("feature-gso-tcpv4"),
                self.bus.front_says("feature-gso-tcpv6"),
            ],
            takes_blank: [
                !self.bus.front_says("feature-no-csum-offload"),
                self.bus.front_says("feature-ipv6-csum-offload"),
            ],
            multicast_control: self.config.multicast
                && self.bus.front_says("request-multicast-control"),
            multicast: Vec::new(),
            answered: 0,
            delivered: 0,
        });
        self.connections += 1;
        Ok(())
    }

    fn refused(&mut self, xen: &Xen, why: &str) {
        // A device that is being taken away may be gone halfway.
        if self.bus.is_online() {
            self.complain(xen, &format!("refused to connect: {why}"));
        }
    }

    fn drop_connection(&mut self, xen: &Xen) {
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

    fn serve(&mut self, xen: &Xen) -> Next {
        self.serve_rings(xen)
    }
}

impl Backend {
    /// Says whether the cable is in.
    pub(super) fn set_carrier(&mut self, up: bool) {
        self.config.carrier = Some(up);
        self.publish(&[("carrier", Some(u32::from(up).to_string()))]);
    }

    /// What a frontend may not ask for if it was not offered.
    fn check_asked(&self) -> Result<(), String> {
        let split = ["event-channel-tx", "queue-0/event-channel-tx"];
        let asked = |keys: &[&str]| keys.iter().any(|key| self.bus.front_key(key).is_some());
        if !self.config.split && asked(&split) {
            return Err("split event channels were not offered".into());
        }
        if !self.config.multicast && self.bus.front_says("request-multicast-control") {
            return Err("multicast control was not offered".into());
        }
        let gso =
            self.bus.front_says("feature-gso-tcpv4") || self.bus.front_says("feature-gso-tcpv6");
        if gso && !self.bus.front_says("feature-sg") {
            return Err("feature-gso-tcpv4 without feature-sg".into());
        }
        Ok(())
    }

    /// Maps the rings and binds the ports whose keys begin with `folder`.
    fn connect_queue(&mut self, xen: &Xen, folder: &str) -> Result<Queue, String> {
        let number = |key: &str| self.bus.front_number(&format!("{folder}{key}"));
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
            if let Some(actor) = self.bus.actor() {
                xen.own_port(own, port, actor);
            }
            bound.push(port);
        }
        let ports = (bound[0], bound[bound.len() - 1]);
        let queue = Queue::open(rings, ports, guest, &self.config.malice, xen);
        queue.map_err(|fault| fault.to_string())
    }
}
