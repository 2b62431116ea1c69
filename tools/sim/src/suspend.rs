//! Domains that are suspended: what comes of it is what the toolstack does meanwhile.

use std::collections::BTreeSet;

use hv::{DomId, Errno, PAGE_SIZE, Port, Resumed};

use crate::Xen;
use crate::domain::Domain;
use crate::events::Channel;

/// What the toolstack does with a domain that is suspended.
pub(crate) type Save = Box<dyn FnOnce(&Xen) -> Resumed>;

impl Xen {
    /// Has `save` run when the domain is suspended the next time: it says how the domain goes on,
    /// and [makes it anew](Self::renew_domain) for that if need be. A suspension that nobody waits
    /// for is cancelled.
    pub fn at_suspension(&self, id: DomId, save: impl FnOnce(&Self) -> Resumed + 'static) {
        self.with(id, |domain| domain.save = Some(Box::new(save)));
    }

    pub(crate) fn suspend(&self, id: DomId) -> Result<Resumed, Errno> {
        if self.with(id, |domain| domain.up.len() > 1) {
            self.violation(format!("domain {id} is suspended while another vCPU runs"));
        }
        let (mappings, save) = self.with(id, |domain| (domain.mappings, domain.save.take()));
        if mappings > 0 {
            return Err(Errno::EBUSY);
        }
        Ok(save.map_or(Resumed::Cancelled, |save| save(self)))
    }

    /// Makes a domain anew, with the memory that it has: its ports are closed, its grant table is
    /// empty, and its rings have other ports. To be called while it is suspended, when the backends
    /// of its former life have let go of its pages.
    pub fn renew_domain(&self, id: DomId) {
        let ports = self.with(id, |domain| domain.channels.len());
        for port in (1..ports).filter_map(|port| u32::try_from(port).ok()) {
            // Many are closed already.
            let _ = self.evtchn_close(id, Port(port));
        }
        let table = self.new_frame();
        let mapped = self.with(id, |domain| domain.active.len());
        if mapped > 0 {
            self.violation(format!(
                "domain {id} is made anew while {mapped} pages are mapped"
            ));
        }
        self.with(id, |domain: &mut Domain| {
            domain.channels = vec![Channel::Reserved];
            domain.comes_to.clear();
            for former in std::mem::replace(&mut domain.grant_table, vec![table]) {
                former.unmapped.set(true);
            }
            domain.grant_pages = 0;
            domain.shared_info.poke(0, &[0; PAGE_SIZE]);
            domain.timers.fill(None);
            domain.up = BTreeSet::from([0]);
            domain.watchdogs.fill(None);
        });
        self.open_rings(id);
    }
}
