//! What is served on: the guest's disks, as other domains' vbds.

use std::cell::Cell;
use std::rc::Rc;

use geom::Access;
use hv::DomId;

use super::Life;
use super::io::{Job, noise};
use crate::storage::{GUEST, XVDA};
use crate::{Blkback, Detach, DomainConfig, Guest, Vbd};

/// A domain that uses a disk of the guest's.
pub(super) struct Client {
    pub(super) id: DomId,
    /// `None` when it was destroyed.
    pub(super) guest: Option<Guest>,
    pub(super) export: Option<Export>,
}

/// A vbd of a client's.
pub(super) struct Export {
    /// The slot of its disk, and whether something was done to that since.
    slot: usize,
    disk_trouble: Rc<Cell<bool>>,
    /// Something was done to the export.
    trouble: Rc<Cell<bool>>,
    detach: Option<Detach>,
}

impl Life {
    /// Starts a domain that will use disks of the guest's.
    pub(super) fn add_client(&mut self) {
        let id = DomId(self.next_client);
        self.next_client += 1;
        let (world, toolstack) = (&self.storage.world, &self.storage.toolstack);
        let config = DomainConfig::default();
        let queues = 1 + u32::from(id.0 % 3);
        let guest = Guest::with_queues(world, toolstack, id, config, queues);
        self.clients.push(Client {
            id,
            guest: Some(guest),
            export: None,
        });
    }

    fn vbd_of(client: &Client) -> Vbd {
        Vbd {
            guest: client.id,
            backend: GUEST,
            devid: XVDA,
        }
    }

    /// Lets one thing happen to an export.
    pub(super) fn act_on_export(&mut self) {
        let index = self.rng.index(self.clients.len());
        self.tidy_export(index);
        match self.rng.below(20) {
            0..=4 => self.export(index),
            5..=13 => self.start_client_io(index),
            14..=15 => self.unexport(index),
            16 => self.remove_front(index),
            17 => self.set_front_state(index),
            18 => self.destroy_client(index),
            _ => self.spurious_client_event(index),
        }
    }

    /// Forgets an export that was detached; one whose client is destroyed is replaced.
    fn tidy_export(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let detach = client.export.as_ref().and_then(|one| one.detach.clone());
        match detach.as_ref().and_then(Detach::outcome) {
            Some(Ok(_)) => client.export = None,
            Some(Err(_)) => {
                if let Some(export) = &mut client.export {
                    export.detach = None;
                }
            }
            None => {}
        }
        if client.guest.is_none() && client.export.is_none() {
            self.clients.swap_remove(index);
            self.add_client();
        }
    }

    fn export(&mut self, index: usize) {
        let slot = self.rng.index(self.slots.len());
        let disk = &self.slots[slot];
        let client = &self.clients[index];
        let connected = disk.backend.as_ref().is_some_and(Blkback::is_connected);
        if client.export.is_some() || client.guest.is_none() || !connected {
            return;
        }
        let mode = ["w!", "w!", "w", "r"][self.rng.index(4)];
        let name = disk.name.clone();
        self.note(format!("{name} is served to {}, mode {mode}", client.id));
        let toolstack = &self.storage.toolstack;
        toolstack.create_vbd_of(&Self::vbd_of(client), &name, mode);
        if mode == "w" {
            // It keeps everybody else out.
            disk.trouble.set(true);
        }
        self.clients[index].export = Some(Export {
            slot,
            disk_trouble: disk.trouble.clone(),
            trouble: Rc::default(),
            detach: None,
        });
    }

    /// A client reads, or writes, flushes and reads, what is on the guest's disk.
    fn start_client_io(&self, index: usize) {
        let client = &self.clients[index];
        let (Some(guest), Some(export)) = (&client.guest, &client.export) else {
            return;
        };
        let slot = &self.slots[export.slot];
        // Another disk may have its name by now.
        if !Rc::ptr_eq(&slot.trouble, &export.disk_trouble) {
            return;
        }
        let write = self.rng.one_in(2);
        let access = if write {
            Access::READ_WRITE
        } else {
            Access::READ
        };
        let Ok(device) = guest.geom.open("xbd0", access) else {
            return;
        };
        let Some((region, offset, length)) = self.choose(export.slot, 0, &device) else {
            return;
        };
        let verb = if write { "writes" } else { "reads" };
        let text = format!("{} {verb} {length} bytes at {offset}", client.id);
        self.note(format!("{text} of {}", slot.name));
        let seed = self.rng.next();
        let job = Job {
            device,
            offset,
            bytes: noise(seed, length),
            write,
            disk: slot.disk.clone(),
            on_disk: offset,
            trouble: vec![export.disk_trouble.clone(), export.trouble.clone()],
            served: true,
            diary: self.diary.clone(),
            _region: region,
        };
        let _result = guest.spawn(&self.storage.world, job.run());
    }

    fn unexport(&mut self, index: usize) {
        let force = self.rng.one_in(2) || self.clients[index].guest.is_none();
        self.detach_export(index, force);
    }

    /// Has the toolstack take a client's vbd away.
    fn detach_export(&mut self, index: usize, force: bool) {
        let client = &mut self.clients[index];
        let vbd = Self::vbd_of(client);
        let id = client.id;
        let Some(export) = client.export.as_mut().filter(|one| one.detach.is_none()) else {
            return;
        };
        export.trouble.set(true);
        export.detach = Some(self.storage.toolstack.detach(&vbd, force));
        let how = if force { " --force" } else { "" };
        self.note(format!("block-detach from {id}{how}"));
    }

    /// Has all of them taken away by force, but those whose turn it is already.
    pub(super) fn detach_all_exports(&mut self) {
        // From the last one on: in place of one that is gone comes the last, which is tidy then.
        for index in (0..self.clients.len()).rev() {
            self.tidy_export(index);
        }
        for index in 0..self.clients.len() {
            self.detach_export(index, true);
        }
    }

    fn remove_front(&self, index: usize) {
        let client = &self.clients[index];
        if let Some(export) = &client.export {
            export.trouble.set(true);
            self.note(format!("{} removes its directory", client.id));
            let path = Self::vbd_of(client).frontend_path();
            self.storage.toolstack.store().remove(&path);
        }
    }

    fn set_front_state(&self, index: usize) {
        let client = &self.clients[index];
        let path = format!("{}/state", Self::vbd_of(client).frontend_path());
        let store = self.storage.toolstack.store();
        if let Some(export) = client.export.as_ref().filter(|_| store.exists(&path)) {
            export.trouble.set(true);
            let state = self.rng.below(8);
            self.note(format!("{} says that its state is {state}", client.id));
            store.write(&path, state.to_string());
        }
    }

    /// The toolstack destroys the domain, and its devices later or never.
    fn destroy_client(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some(export) = &client.export {
            export.trouble.set(true);
        }
        if client.guest.take().is_some() {
            let id = client.id;
            self.note(format!("{id} is destroyed"));
            self.storage.toolstack.destroy_domain(id);
        }
    }

    fn spurious_client_event(&self, index: usize) {
        let client = &self.clients[index];
        let world = &self.storage.world;
        if client.guest.is_some() {
            for port in world.open_ports(client.id) {
                // As far as anybody listens.
                let _heard = world.evtchn_send(client.id, port);
            }
        }
    }

    /// Every client that lives has had its disks and requests end.
    pub(super) fn check_clients(&self) -> Result<(), String> {
        for client in &self.clients {
            let usage = self.storage.world.usage(client.id);
            if usage.mapped_by_peers != 0 {
                return Err(format!("pages of {} are mapped", client.id));
            }
            let Some(guest) = &client.guest else {
                continue;
            };
            let counters = guest.geom.counters();
            let (live, requests) = (counters.disks_live, counters.requests);
            if (live, requests) != (0, 0) {
                return Err(format!("{}: {live} disks, {requests} requests", client.id));
            }
        }
        Ok(())
    }
}
