//! What Xen knows of one domain.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hv::{DomId, Instant, PAGE_SIZE, Port, ShutdownReason};

use crate::events::Channel;
use crate::frame::{Frame, Hold, Memory};
use crate::grants::Active;
use crate::layout::grant;
use crate::pirq::Pirq;
use crate::suspend::Save;
use crate::{ActorId, Dom, Xen};

/// How a domain is made.
#[derive(Clone, Copy, Debug)]
pub struct DomainConfig {
    /// Pages the domain has (`memory` of xl.cfg).
    pub pages: usize,
    /// Pages it may ever have (`maxmem` of xl.cfg); 0 for no more than it starts with.
    pub most_pages: usize,
    /// Ports the domain may have (`max_event_channels` of xl.cfg, 1023 by default).
    pub ports: u32,
    /// Pages its grant table may grow to (`max_grant_frames` of xl.cfg, 64 by default).
    pub grant_frames: u32,
    /// Its vCPUs (`maxvcpus` of xl.cfg).
    pub vcpus: u32,
}

impl Default for DomainConfig {
    /// 8 MiB, and xl's defaults.
    fn default() -> Self {
        Self {
            pages: 2048,
            most_pages: 0,
            ports: 1023,
            grant_frames: 64,
            vcpus: 1,
        }
    }
}

/// How a domain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It asked to end.
    Shutdown(ShutdownReason),
    /// It did not feed its watchdog.
    Watchdog,
    /// The administrator destroyed it.
    Destroyed,
}

/// What a domain holds of Xen; compared before and after, it shows leaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Pages taken and not freed.
    pub pages: usize,
    /// Ports not closed.
    pub ports: usize,
    /// Grant entries that allow somebody something, the reserved ones apart.
    pub grants: usize,
    /// Its own pages that peers have mapped, the ring pages apart.
    pub mapped_by_peers: usize,
    /// Pages of peers, and registers of devices, that it has mapped.
    pub mappings: usize,
}

pub(crate) struct Domain {
    pub(crate) config: DomainConfig,
    /// Pages it has now.
    pub(crate) pages: usize,
    /// Pages Xen lets it have now (`max_pages`).
    pub(crate) limit: usize,
    pub(crate) pages_used: usize,
    pub(crate) shared_info: Rc<Frame>,
    pub(crate) channels: Vec<Channel>,
    /// The vCPUs that the events of ports come to, if not to the first.
    pub(crate) comes_to: BTreeMap<Port, u32>,
    pub(crate) grant_table: Vec<Rc<Frame>>,
    /// Pages of it that the domain has asked for in this life.
    pub(crate) grant_pages: usize,
    pub(crate) active: BTreeMap<u32, Active>,
    pub(crate) mappings: usize,
    /// Interrupts of devices that it was given.
    pub(crate) pirqs: BTreeMap<u32, Pirq>,
    pub(crate) xenstore: (Rc<Frame>, Port),
    pub(crate) console: (Rc<Frame>, Port),
    pub(crate) started: Instant,
    /// Of each vCPU.
    pub(crate) timers: Vec<Option<Instant>>,
    pub(crate) watchdogs: Vec<Option<Instant>>,
    /// Random numbers it asked for.
    pub(crate) randoms: u64,
    /// Those of its vCPUs that run.
    pub(crate) runs_as: BTreeMap<u32, ActorId>,
    /// Those that may.
    pub(crate) up: BTreeSet<u32>,
    /// The vCPU whose turn it is, or was last.
    pub(crate) vcpu: u32,
    pub(crate) ended: Option<Ended>,
    /// What is done when it is suspended.
    pub(crate) save: Option<Save>,
}

/// Pages beyond its target that libxl lets a domain have (`LIBXL_MAXMEM_CONSTANT`): 1 MiB.
const SLACK: usize = 256;

/// The number of watchdogs a domain may have (`NR_DOMAIN_WATCHDOG_TIMERS` in Xen).
pub(crate) const WATCHDOGS: usize = 2;

impl Xen {
    /// Creates a domain as the domain builder does: shared info, ring pages for xenstore and the
    /// console with a port each that domain 0 may bind to, and a grant table whose first entries
    /// name these two pages.
    ///
    /// # Panics
    /// If there is such a domain already.
    pub fn create_domain(&self, id: DomId, config: DomainConfig) -> Dom {
        let domain = Domain {
            config,
            pages: config.pages,
            limit: config.pages + SLACK,
            pages_used: 0,
            shared_info: self.new_frame(),
            channels: vec![Channel::Reserved],
            comes_to: BTreeMap::new(),
            grant_table: vec![self.new_frame()],
            grant_pages: 0,
            active: BTreeMap::new(),
            mappings: 0,
            pirqs: BTreeMap::new(),
            xenstore: (self.new_frame(), Port(0)),
            console: (self.new_frame(), Port(0)),
            started: self.now(),
            timers: vec![None; config.vcpus as usize],
            watchdogs: vec![None; WATCHDOGS],
            randoms: 0,
            runs_as: BTreeMap::new(),
            up: BTreeSet::from([0]),
            vcpu: 0,
            ended: None,
            save: None,
        };
        let before = self.state().domains.borrow_mut().insert(id.0, domain);
        assert!(before.is_none(), "domain {id} exists already");
        self.open_rings(id);
        Dom::new(self.clone(), id)
    }

    /// Opens the ports of the rings for xenstore and the console, and grants domain 0 their pages.
    pub(crate) fn open_rings(&self, id: DomId) {
        let dom0 = DomId(0);
        let ports = [(); 2].map(|()| {
            self.evtchn_alloc_unbound(id, if id == dom0 { id } else { dom0 })
                .expect("a new domain has ports")
        });
        self.with(id, |domain| {
            domain.xenstore.1 = ports[0];
            domain.console.1 = ports[1];
            let table = &domain.grant_table[0];
            for (entry, ring) in [
                (grant::CONSOLE, &domain.console.0),
                (grant::XENSTORE, &domain.xenstore.0),
            ] {
                let at = entry as usize * grant::ENTRY;
                let frame = u32::try_from(ring.mfn().0).expect("frame numbers are small");
                table.poke(at + grant::FRAME, &frame.to_le_bytes());
                table.set_u16(at + grant::DOMID, dom0.0);
                table.set_u16(at + grant::FLAGS, grant::PERMIT_ACCESS);
            }
        });
    }

    /// Pages the domain has, as Xen counts them (`XENMEM_current_reservation`).
    #[must_use]
    pub fn reservation(&self, id: DomId) -> usize {
        self.with(id, |domain| domain.pages)
    }

    /// Lets a domain have so many pages, and as many more as libxl does. What it has, it keeps.
    pub fn set_limit(&self, id: DomId, pages: usize) {
        self.with(id, |domain| domain.limit = pages.saturating_add(SLACK));
    }

    /// Ends a domain at once, as `xl destroy` does: its ports close, its mappings go. Its own pages
    /// stay until peers let go of them.
    pub fn destroy_domain(&self, id: DomId) {
        self.end(id, Ended::Destroyed);
        self.halt_domain(id);
        let ports = self.with(id, |domain| domain.channels.len());
        for port in 1..ports {
            let port = Port(u32::try_from(port).expect("ports are few"));
            // A port that is free already stays free.
            let _ = self.evtchn_close(id, port);
        }
    }

    /// Ends a domain; it does not run any more. What it was given stays.
    pub(crate) fn end(&self, id: DomId, how: Ended) {
        self.with(id, |domain| {
            if domain.ended.is_none() || how == Ended::Destroyed {
                domain.ended = Some(how);
            }
            domain.timers.fill(None);
            domain.watchdogs.fill(None);
        });
    }

    /// How the domain ended, if it has.
    #[must_use]
    pub fn ended(&self, id: DomId) -> Option<Ended> {
        self.with(id, |domain| domain.ended)
    }

    /// Whether there is such a domain and it has not been destroyed.
    #[must_use]
    pub fn exists(&self, id: DomId) -> bool {
        self.state()
            .domains
            .borrow()
            .get(&id.0)
            .is_some_and(|domain| domain.ended != Some(Ended::Destroyed))
    }

    /// What the domain holds of Xen.
    #[must_use]
    pub fn usage(&self, id: DomId) -> Usage {
        self.with(id, |domain| {
            let grants = domain
                .grant_entries()
                .iter()
                .filter(|(entry, _, _)| *entry >= grant::RESERVED)
                .count();
            Usage {
                pages: domain.pages_used,
                ports: domain.channels.iter().filter(|c| c.is_open()).count(),
                grants,
                mapped_by_peers: domain.active.range(grant::RESERVED..).count(),
                mappings: domain.mappings,
            }
        })
    }

    /// The xenstore ring page and its port, for the daemon at the other end.
    #[must_use]
    pub fn xenstore_ring_of(&self, id: DomId, who: DomId) -> (Memory, Port) {
        let (frame, port) = self.with(id, |domain| domain.xenstore.clone());
        (Memory::new(frame, who, Hold::Fixed), port)
    }

    /// The console ring page and its port, for the daemon at the other end.
    #[must_use]
    pub fn console_ring_of(&self, id: DomId, who: DomId) -> (Memory, Port) {
        let (frame, port) = self.with(id, |domain| domain.console.clone());
        (Memory::new(frame, who, Hold::Fixed), port)
    }
}

impl Domain {
    /// Each entry of the grant table that is in use: its number, flags and frame.
    pub(crate) fn grant_entries(&self) -> Vec<(u32, u16, u32)> {
        let mut entries = Vec::new();
        let mut bytes = [0; PAGE_SIZE];
        for (page, index) in self.grant_table.iter().zip(0u32..) {
            page.peek(0, &mut bytes);
            for (entry, slot) in bytes.chunks_exact(grant::ENTRY).zip(0u32..) {
                let flags = u16::from_le_bytes([entry[0], entry[1]]);
                if flags != 0 {
                    let frame = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
                    entries.push((index * grant::PER_PAGE + slot, flags, frame));
                }
            }
        }
        entries
    }
}
