//! What may happen next.

use std::rc::Rc;
use std::time::Duration;

use geom::Access;
use hv::Errno;

use super::Life;
use crate::storage::{GUEST, mbr};
use crate::{Blkback, BlkbackConfig, Call, Disk, Fault, Malice, Rng, Tamper, When};

impl Life {
    /// Lets one thing happen.
    pub(super) fn act(&mut self) {
        let index = self.rng.index(self.slots.len());
        self.tidy(index);
        match self.rng.below(100) {
            0..=24 => self.attach(index),
            25..=54 => self.start_io(index),
            55..=59 => self.hold_open(index),
            60..=63 => self.let_go(),
            64..=67 => self.resize(index),
            68..=71 => self.hold_back(index),
            72..=74 => self.freeze(index),
            75..=81 => self.detach(index),
            82..=84 => self.close(index),
            85..=86 => self.vanish(index),
            87..=90 => self.lie(index),
            91..=93 => self.trouble_the_store(),
            94..=96 => self.plan_faults(),
            _ => self.spurious_event(),
        }
    }

    /// Forgets a backend whose device has been detached.
    fn tidy(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let outcome = slot.detach.as_ref().and_then(crate::Detach::outcome);
        match outcome {
            Some(Ok(_)) => {
                slot.detach = None;
                self.former.extend(slot.backend.take());
            }
            Some(Err(_)) => slot.detach = None,
            None => {}
        }
    }

    fn attach(&mut self, index: usize) {
        let rng = &self.rng;
        let slot = &self.slots[index];
        if slot.backend.is_some() {
            return self.start_io(index);
        }
        let config = random_config(rng);
        let disk = Disk::new();
        if rng.one_in(2) {
            disk.write(0, &partition_table(rng, config.sectors));
        }
        let (name, sectors, size) = (&slot.name, config.sectors, config.sector_size);
        let read_only = if config.read_only { ", read-only" } else { "" };
        self.note(format!(
            "attach {name}: {sectors} sectors, sector size {size}{read_only}"
        ));
        let (world, toolstack) = (&self.storage.world, &self.storage.toolstack);
        let backend = Blkback::attach(world, toolstack, slot.vbd, &disk, config);
        let slot = &mut self.slots[index];
        slot.disk = disk;
        slot.backend = Some(backend);
        slot.trouble = Rc::default();
        slot.busy = Rc::default();
    }

    fn hold_open(&mut self, index: usize) {
        let name = &self.slots[index].name;
        let access = match self.rng.below(3) {
            0 => Access::READ,
            1 => Access::READ_WRITE,
            _ => Access::EXCLUSIVE,
        };
        if let Ok(device) = self.storage.guest.geom.open(name, access) {
            self.note(format!("somebody opens {name}"));
            self.held.push(device);
            // Exclusive access and writing keep others out: that is no fault of theirs.
            self.slots[index].trouble.set(true);
        }
    }

    fn let_go(&mut self) {
        if !self.held.is_empty() {
            let device = self.held.swap_remove(self.rng.index(self.held.len()));
            self.note(format!("somebody closes {}", device.name()));
            drop(device);
            self.storage.world.wake_domain(GUEST);
        }
    }

    fn backend(&self, index: usize) -> Option<Blkback> {
        self.slots[index].backend.clone()
    }

    fn resize(&self, index: usize) {
        if let Some(backend) = self.backend(index) {
            let sectors = 8 * (1 + self.rng.below(8192));
            self.note(format!(
                "resize {} to {sectors} sectors",
                self.slots[index].name
            ));
            self.slots[index].trouble.set(true);
            backend.resize(sectors);
        }
    }

    fn hold_back(&self, index: usize) {
        if let Some(backend) = self.backend(index) {
            let held = self.rng.one_in(2);
            let verb = if held { "holds back" } else { "lets go" };
            self.note(format!("{}: the backend {verb}", self.slots[index].name));
            backend.set_held(held);
        }
    }

    fn freeze(&self, index: usize) {
        if let Some(backend) = self.backend(index) {
            let frozen = self.rng.one_in(2);
            let verb = if frozen { "freezes" } else { "thaws" };
            self.note(format!("{}: the backend {verb}", self.slots[index].name));
            backend.set_frozen(frozen);
        }
    }

    fn detach(&mut self, index: usize) {
        let slot = &self.slots[index];
        if slot.backend.is_none() || slot.detach.is_some() {
            return;
        }
        let force = self.rng.one_in(2);
        let how = if force { " --force" } else { "" };
        self.note(format!("block-detach {}{how}", slot.name));
        slot.trouble.set(true);
        let detach = self.storage.toolstack.detach(&slot.vbd, force);
        self.slots[index].detach = Some(detach);
    }

    fn close(&self, index: usize) {
        if let Some(backend) = self.backend(index) {
            self.note(format!("{}: the backend closes", self.slots[index].name));
            self.slots[index].trouble.set(true);
            backend.close();
        }
    }

    /// The backend dies, and its nodes with it.
    fn vanish(&mut self, index: usize) {
        if let Some(backend) = self.backend(index) {
            let slot = &mut self.slots[index];
            slot.trouble.set(true);
            slot.backend = None;
            slot.detach = None;
            let vbd = slot.vbd;
            self.note(format!("{}: the backend dies", self.slots[index].name));
            backend.crash();
            let (front, back) = (vbd.frontend_path(), vbd.backend_path());
            let store = self.storage.toolstack.store();
            if self.rng.one_in(2) {
                store.remove(&back);
                store.remove(&front);
            } else {
                store.together(&[(&front, None), (&back, None)]);
            }
        }
    }

    fn lie(&self, index: usize) {
        let Some(backend) = self.backend(index) else {
            return;
        };
        let rng = &self.rng;
        let number = rng.next();
        let tamper = match rng.below(9) {
            0 => Tamper::Id(number),
            1 => Tamper::Operation(number.to_le_bytes()[0]),
            2 => Tamper::Status(i16::from_le_bytes([number.to_le_bytes()[0], 1])),
            3 => Tamper::Twice,
            4 => Tamper::Before(number),
            5 => Tamper::Lost,
            6 => Tamper::ProducerAhead(1 + number.to_le_bytes()[0] as u32),
            7 => Tamper::ProducerBack(1 + number.to_le_bytes()[0] as u32),
            _ => Tamper::Padding(0xff),
        };
        self.note(format!(
            "{}: the backend lies: {tamper:?}",
            self.slots[index].name
        ));
        self.slots[index].trouble.set(true);
        backend.set_malice(Malice {
            responses: vec![(backend.served().responses + 1 + rng.below(4), tamper)],
            keep_mapped: rng.one_in(4),
            flip_after_read: rng.one_in(4),
            scribble_events: rng.one_in(4),
            storm: rng.one_in(4).then_some(Duration::from_millis(1)),
            ..Malice::default()
        });
    }

    fn trouble_the_store(&self) {
        let store = self.storage.toolstack.store();
        match self.rng.below(3) {
            0 => {
                let count = u32::try_from(self.rng.below(8)).expect("a few");
                self.note(format!("xenstore refuses {count} commits"));
                store.refuse_commits(count);
            }
            1 => {
                let latency = Duration::from_micros(self.rng.below(20_000));
                self.note(format!("xenstore takes up to {latency:?}"));
                store.set_latency(latency);
            }
            _ => store.set_latency(Duration::ZERO),
        }
    }

    /// Pages, ports or grants fail for a while. A disk that is being attached may not survive it.
    fn plan_faults(&self) {
        let world = &self.storage.world;
        if self.rng.one_in(2) {
            world.clear_faults();
            return;
        }
        let calls = [
            (Call::AllocPage, Errno::ENOMEM),
            (Call::AllocUnbound, Errno::ENOSPC),
            (Call::NextGrantTablePage, Errno::ENOMEM),
        ];
        let (call, error) = calls[self.rng.index(calls.len())];
        let one_in = 1 + self.rng.below(20);
        self.note(format!("{call:?} fails once in {one_in}"));
        let fault = Fault::new(GUEST, call, When::OneIn(one_in), error);
        world.plan_fault(fault);
    }

    fn spurious_event(&self) {
        let world = &self.storage.world;
        let ports = world.open_ports(GUEST);
        let port = ports[self.rng.index(ports.len())];
        self.note(format!("a spurious event on port {port}"));
        world.raise(GUEST, port);
    }
}

fn random_config(rng: &Rng) -> BlkbackConfig {
    let large = rng.one_in(3);
    let order = u32::try_from(rng.below(6)).expect("below 6");
    BlkbackConfig {
        sectors: 1024 * (1 + rng.below(64)),
        sector_size: if large { 4096 } else { 512 },
        physical_sector_size: rng.one_in(2).then_some(4096),
        read_only: rng.one_in(6),
        flush: !rng.one_in(4),
        barrier: rng.one_in(2),
        discard: rng.one_in(2),
        secure_discard: rng.one_in(2),
        discard_granularity: rng.one_in(2).then_some(1 << 16),
        discard_alignment: 0,
        indirect_segments: rng.one_in(2).then_some(256),
        persistent: rng.one_in(2).then_some(64),
        ring_order: rng.one_in(2).then_some(order),
        ring_pages: None,
        queues: None,
        latency: Duration::from_micros(1 + rng.below(2000)),
        malice: Malice::default(),
    }
}

/// An MBR with up to four partitions.
fn partition_table(rng: &Rng, sectors: u64) -> [u8; 512] {
    let count = 1 + rng.below(4);
    let size = (sectors - 64) / count / 8 * 8;
    let number = |sectors| u32::try_from(sectors).expect("small disks");
    let partitions: Vec<_> = (0..count)
        .map(|index| (number(64 + index * size), number(size)))
        .collect();
    mbr(&partitions)
}
