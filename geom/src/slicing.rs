//! Turning a slicer's verdict into providers.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::class::{Slice, Table, Verdict};
use crate::errno::Errno;
use crate::graph::{Graph, NewProvider};
use crate::id::{GeomId, ProviderId};
use crate::node::{Kind, Slicer};
use crate::provider::{Base, Provider};

impl Graph {
    /// The slicer of that class that lives on a provider.
    pub(crate) fn slicer_on(&self, id: ProviderId, class: usize) -> Option<GeomId> {
        let provider = self.providers.get(id)?;
        let consumers = provider
            .consumers
            .iter()
            .filter_map(|id| self.consumers.get(*id));
        let mut nodes = consumers.filter_map(|consumer| self.geoms.get(consumer.geom));
        let found = nodes.find(|node| match &node.kind {
            Kind::Slicer(slicer) => slicer.class == class && !node.wither,
            _ => false,
        });
        found.map(|node| node.id)
    }

    /// Acts on what a class has found.
    pub(crate) fn apply_verdict(
        &mut self,
        id: ProviderId,
        class: usize,
        class_name: &'static str,
        verdict: Verdict,
    ) {
        let Some(provider) = self.providers.get(id) else {
            return;
        };
        let name = provider.name.clone();
        let present = self.slicer_on(id, class);
        match (verdict, present) {
            (Verdict::Mine(table), Some(geom)) => self.merge(id, geom, table),
            (Verdict::Mine(table), None) => self.make_slicer(id, class, class_name, table),
            (Verdict::NotMine, None) => {}
            (Verdict::Damaged(reason), None) => {
                self.notices.add(format!("{name}: {class_name}: {reason}"));
            }
            (Verdict::NotMine, Some(geom)) => self.table_lost(geom, "no table found".into()),
            (Verdict::Damaged(reason), Some(geom)) => self.table_lost(geom, reason),
        }
    }

    fn make_slicer(
        &mut self,
        id: ProviderId,
        class: usize,
        class_name: &'static str,
        table: Table,
    ) {
        let Some(provider) = self.providers.get(id) else {
            return;
        };
        let name = provider.name.clone();
        let kind = Kind::Slicer(Slicer {
            class,
            class_name,
            scheme: table.scheme,
            defect: table.defect.clone(),
            config: table.config,
        });
        let Ok((geom, _)) = self.attach(kind, id) else {
            return;
        };
        let count = self.add_slices(id, geom, table.scheme, table.slices);
        let defect = table
            .defect
            .map(|defect| format!(", {defect}"))
            .unwrap_or_default();
        let noun = if count == 1 {
            "partition"
        } else {
            "partitions"
        };
        self.notices
            .add(format!("{name}: {}, {count} {noun}{defect}", table.scheme));
    }

    /// Makes providers of those slices that are inside and aligned. Returns how many.
    fn add_slices(
        &mut self,
        id: ProviderId,
        geom: GeomId,
        scheme: &'static str,
        slices: Vec<Slice>,
    ) -> usize {
        let mut count = 0;
        for slice in slices {
            let Some(provider) = self.providers.get(id) else {
                return count;
            };
            let mut outer = Vec::with_capacity(provider.outer.len() + 1);
            outer.push(scheme);
            outer.extend_from_slice(&provider.outer);
            let new = NewProvider {
                name: Rc::from(format!("{}{}", provider.name, slice.suffix)),
                media_size: slice.length,
                sector_size: provider.sector_size,
                stripe_size: provider.stripe_size,
                base: Base {
                    disk: provider.base.disk,
                    offset: provider.base.offset + slice.start.min(provider.media_size),
                },
                outer,
                slice: None,
            };
            if fits(&slice, provider) {
                count += 1;
                self.add_provider(
                    geom,
                    NewProvider {
                        slice: Some(slice),
                        ..new
                    },
                );
            } else {
                self.notices.add(format!(
                    "{}: not inside {}, left out",
                    new.name, provider.name
                ));
            }
        }
        count
    }

    /// Takes over another table: what is the same in both stays as it is, also while it is open.
    fn merge(&mut self, id: ProviderId, geom: GeomId, mut table: Table) {
        let own = self
            .geoms
            .get(geom)
            .map(|node| node.providers.clone())
            .unwrap_or_default();
        for old in own {
            let Some(provider) = self.providers.get_mut(old) else {
                continue;
            };
            let Some(slice) = &mut provider.slice else {
                continue;
            };
            let same = |new: &Slice| {
                new.suffix == slice.suffix && new.start == slice.start && new.length == slice.length
            };
            match table.slices.iter().position(same) {
                Some(found) if provider.error.is_none() => *slice = table.slices.remove(found),
                _ => self.orphan(old, Errno::NoDevice),
            }
        }
        self.add_slices(id, geom, table.scheme, table.slices);
        if let Some(Kind::Slicer(slicer)) = self.geoms.get_mut(geom).map(|node| &mut node.kind) {
            slicer.scheme = table.scheme;
            slicer.defect = table.defect;
            slicer.config = table.config;
        }
    }

    /// The table is not there any more, or is damaged, after a change below. What is open is kept:
    /// nobody is served by taking it away; the next taste without holders clears it up.
    fn table_lost(&mut self, geom: GeomId, reason: String) {
        let Some(node) = self.geoms.get_mut(geom) else {
            return;
        };
        let held = |id: &ProviderId| {
            self.providers
                .get(*id)
                .is_some_and(|p| !p.consumers.is_empty())
        };
        if !node.providers.iter().any(held) {
            self.wither(geom, Errno::NoDevice);
        } else if let Kind::Slicer(slicer) = &mut node.kind {
            slicer.defect = Some(reason);
        }
    }
}

/// Whether a slice is made of whole sectors inside its provider, and not empty.
fn fits(slice: &Slice, provider: &Provider) -> bool {
    let sector = u64::from(provider.sector_size);
    let aligned = slice.start.is_multiple_of(sector) && slice.length.is_multiple_of(sector);
    let end = slice.start.checked_add(slice.length);
    aligned && slice.length > 0 && end.is_some_and(|end| end <= provider.media_size)
}
