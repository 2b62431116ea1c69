//! What a block backend says and does at each step of the handshake.

use std::rc::Rc;

use hv::{Access, GrantRef, Port};
use ring::Pages;

use super::Backend;
use super::connection::Connection;
use crate::backend::BackSide;
use crate::backend::bus::{Bus, CONNECTED, INITIALISED, Key, Script};
use crate::{Memory, Next, Xen};

/// `VDISK_READONLY`.
const READ_ONLY: u32 = 4;

impl BackSide for Backend {
    const PUBLISHED: u32 = INITIALISED;

    fn bus(&mut self) -> (&mut Bus, Script<'_>) {
        (&mut self.bus, self.config.malice.script())
    }

    fn offer(&self) -> Vec<Key> {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let config = &self.config;
        vec![
            ("max-ring-page-order", number(config.ring_order)),
            ("max-ring-pages", number(config.ring_pages)),
            ("multi-queue-max-queues", number(config.queues)),
            (
                "feature-max-indirect-segments",
                number(config.indirect_segments),
            ),
            ("hotplug-status", Some("connected".into())),
        ]
    }

    fn properties(&self) -> Vec<Key> {
        let flag = |set: bool| Some(u32::from(set).to_string());
        let config = &self.config;
        let discard = |value: u64| config.discard.then(|| value.to_string());
        let (granularity, alignment) = config.extents();
        let info = if config.read_only { READ_ONLY } else { 0 };
        vec![
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
        ]
    }

    fn connect(&mut self, xen: &Xen) -> Result<(), String> {
        let protocol = self.bus.front_key("protocol");
        if protocol.is_some_and(|protocol| protocol != "x86_64-abi") {
            return Err("unknown protocol".into());
        }
        let queues = match self.bus.front_number("multi-queue-num-queues") {
            Err(_) => 1,
            Ok(queues) if (1..=self.config.queues.unwrap_or(1)).contains(&queues) => queues,
            Ok(queues) => return Err(format!("{queues} queues were not offered")),
        };
        let mut rings = Vec::new();
        for index in 0..queues {
            let folder = match queues {
                1 => String::new(),
                _ => format!("queue-{index}/"),
            };
            rings.push(self.connect_queue(xen, &folder)?);
        }
        let both = self.bus.front_number("feature-persistent") == Ok(1);
        let persistent = self.config.persistent.filter(|_| both).unwrap_or(0);
        match Connection::open(rings, self.vbd.guest, &self.config.malice, xen) {
            Ok(mut connection) => {
                connection.keep_mapped(persistent);
                self.served.ring_entries = connection.entries();
                self.served.queues = queues;
                self.connection = Some(connection);
                Ok(())
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// Once no request is under way: a backend cannot take a page back from a disk that is still
    /// writing to it.
    fn may_disconnect(&self) -> bool {
        self.pending() == 0
    }

    fn drop_connection(&mut self, xen: &Xen) {
        if let Some(connection) = self.connection.take() {
            for queue in &connection.queues {
                // Already closed, if the domain is gone.
                let _ = xen.evtchn_close(self.vbd.backend, queue.port);
            }
        }
    }

    fn serve(&mut self, xen: &Xen) -> Next {
        let before = self.pending();
        let next = self.serve_rings(xen);
        // A disconnect may have waited for the last request.
        self.bus.look |= before != 0 && self.pending() == 0;
        next
    }
}

impl Backend {
    fn pending(&self) -> usize {
        self.connection.as_ref().map_or(0, Connection::pending)
    }

    pub(super) fn resize(&mut self, sectors: u64) {
        self.config.sectors = sectors;
        if self.bus.state == CONNECTED {
            self.publish(&[
                ("sectors", Some(sectors.to_string())),
                ("state", Some(CONNECTED.to_string())),
            ]);
        }
    }

    /// Maps the ring and binds the port whose keys begin with `folder`.
    fn connect_queue(&mut self, xen: &Xen, folder: &str) -> Result<(Pages<Memory>, Port), String> {
        let number = |key: &str| self.bus.front_number(key);
        let mut entries = Vec::new();
        match number("ring-page-order") {
            Ok(order) if order <= self.config.ring_order.unwrap_or(0) => {
                for page in 0..1u32 << order {
                    entries.push(GrantRef(number(&format!("{folder}ring-ref{page}"))?));
                }
            }
            Ok(order) => return Err(format!("ring-page-order {order} was not offered")),
            Err(_) => entries.push(GrantRef(number(&format!("{folder}ring-ref"))?)),
        }
        let remote_port = Port(number(&format!("{folder}event-channel"))?);
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
        if let Some(actor) = self.bus.actor() {
            xen.own_port(own, port, actor);
        }
        Ok((Pages::new(pages), port))
    }
}
