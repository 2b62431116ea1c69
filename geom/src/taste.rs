//! Tasting: what is on a provider, asked of every class in turn.
//!
//! A taste is a task of its own per provider. It opens the provider for reading, gives the classes
//! a [`Media`], reads what they ask for, and asks again. A device that does not answer holds up its
//! own taste and nothing else: after the deadline the provider counts as untasted, stays usable,
//! and the taste goes on when the read returns. A writer, a loss or a spoiling ends a taste.

use alloc::format;
use alloc::rc::Rc;
use core::time::Duration;

use crate::access::Access;
use crate::bio::Command;
use crate::errno::Errno;
use crate::graph::Graph;
use crate::id::{ConsumerId, ProviderId};
use crate::media::{BUDGET, Media, Need};
use crate::memory::Buffer;
use crate::mesh::Mesh;
use crate::node::Kind;
use crate::provider::Tasted;
use crate::request::{Order, Ticket};

/// A taste under way.
pub(crate) struct Taste {
    pub(crate) consumer: ConsumerId,
    media: Media,
    /// The class that is asked now.
    class: usize,
    /// Ask classes that are attached already, too.
    refresh: bool,
    reads: u32,
    waiting: Option<Waiting>,
    pub(crate) deadline: Duration,
    /// The deadline passed while a read was out.
    pub(crate) late: bool,
    /// End it when the read that is out is back.
    pub(crate) cancelled: bool,
    /// And begin another.
    pub(crate) restart: bool,
}

#[cfg(test)]
impl Taste {
    /// All that decides how it goes on.
    pub(crate) fn state(&self) -> std::string::String {
        let read = self.waiting.as_ref().map(|waiting| waiting.ticket.result());
        let flags = [self.refresh, self.late, self.cancelled, self.restart];
        let seen = (self.media.held(), self.media.size());
        std::format!("{}{read:?}{flags:?}{seen:?}{:?}", self.class, self.deadline)
    }
}

/// A read that is out.
struct Waiting {
    need: Need,
    data: Buffer,
    ticket: Rc<Ticket>,
}

impl Taste {
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        !self.late && self.deadline <= now
    }

    /// Gives the media what a read has brought, or that it failed.
    fn supply(&mut self, result: Result<(), Errno>, waiting: &Waiting) {
        let need = waiting.need;
        let bytes = waiting.data.to_vec();
        if result.is_err() || self.media.supply(need.offset, &bytes).is_err() {
            self.media.supply_error(need);
        }
    }
}

/// What a taste does next.
enum Next {
    Wait,
    Read(ConsumerId, Need),
    End(Tasted),
}

impl Mesh {
    /// Begins the taste of a provider, or has a running one begin anew.
    pub(crate) fn begin_taste(&self, id: ProviderId, refresh: bool) {
        let mut graph = self.graph.borrow_mut();
        let graph = &mut *graph;
        let written = graph.is_written(id);
        let Some(provider) = graph.providers.get_mut(id) else {
            return;
        };
        if let Some(taste) = graph.tastes.get_mut(&id) {
            taste.restart = true;
            taste.refresh |= refresh;
            graph.post(id, |pending| pending.step = true);
            return;
        }
        let media = Media::new(provider.media_size, provider.sector_size);
        let (Ok(media), true) = (media, provider.outer.len() < self.params.max_depth as usize)
        else {
            provider.tasted = Tasted::Never;
            return;
        };
        if written {
            provider.tasted = Tasted::Writing;
            return;
        }
        let attached = |class| graph.slicer_on(id, class).is_some();
        if media.sector_count() == 0 || (!refresh && (0..self.classes.len()).all(attached)) {
            if let Some(provider) = graph.providers.get_mut(id) {
                let never = media.sector_count() == 0;
                provider.tasted = if never { Tasted::Never } else { Tasted::Done };
            }
            return;
        }
        self.open_taste(graph, id, media, refresh);
    }

    fn open_taste(&self, graph: &mut Graph, id: ProviderId, media: Media, refresh: bool) {
        let Ok((_, consumer)) = graph.attach(Kind::Taste, id) else {
            return;
        };
        let taste = Taste {
            consumer,
            media,
            class: 0,
            refresh,
            reads: 0,
            waiting: None,
            deadline: self.now.get() + self.params.taste_deadline,
            late: false,
            cancelled: false,
            restart: false,
        };
        graph.tastes.insert(id, taste);
        if let Some(provider) = graph.providers.get_mut(id) {
            provider.tasted = Tasted::Running;
        }
        graph.post(id, |pending| pending.step = true);
    }

    /// Moves a taste on: after its begin, a read, or a cancel.
    pub(crate) fn step_taste(&self, id: ProviderId) {
        if let Err(errno) = self.open_for_taste(id) {
            self.end_taste(id, Tasted::Failed(errno));
            return;
        }
        loop {
            let next = {
                let mut graph = self.graph.borrow_mut();
                let resumed = graph.resume_taste(id, self);
                resumed.unwrap_or_else(|| graph.ask_classes(id, self))
            };
            match next {
                Next::Wait => return,
                Next::End(tasted) => return self.end_taste(id, tasted),
                Next::Read(consumer, need) => self.read_for_taste(id, consumer, need),
            }
        }
    }

    /// Opens the taste's consumer at its first step.
    fn open_for_taste(&self, id: ProviderId) -> Result<(), Errno> {
        let consumer = {
            let graph = self.graph.borrow();
            let Some(taste) = graph.tastes.get(&id) else {
                return Ok(());
            };
            let consumer = graph.consumers.get(taste.consumer);
            let open = consumer.is_none_or(|consumer| !consumer.counts.is_closed());
            if open || taste.cancelled || taste.restart {
                return Ok(());
            }
            taste.consumer
        };
        self.set_access(consumer, Access::READ)
            .map_err(|error| error.errno)
    }

    fn read_for_taste(&self, id: ProviderId, consumer: ConsumerId, need: Need) {
        let length = need.length;
        let data = Buffer::zeroed(usize::try_from(length.min(BUDGET)).unwrap_or(0));
        let order = Order {
            command: Command::Read,
            offset: need.offset,
            length,
            data: data.clone(),
            ordered: false,
        };
        let ticket = self.start(consumer, order);
        if let Some(taste) = self.graph.borrow_mut().tastes.get_mut(&id) {
            taste.reads += 1;
            taste.waiting = Some(Waiting { need, data, ticket });
        }
    }

    fn end_taste(&self, id: ProviderId, tasted: Tasted) {
        let mut graph = self.graph.borrow_mut();
        let Some(taste) = graph.tastes.remove(&id) else {
            return;
        };
        if let Some(provider) = graph.providers.get_mut(id) {
            provider.tasted = tasted;
        }
        if taste.restart {
            graph.post(id, |pending| {
                pending.taste = true;
                pending.refresh |= taste.refresh;
            });
        }
        drop(graph);
        self.close(taste.consumer);
    }

    /// Marks the next taste that is past its deadline. `false` if there is none.
    pub(crate) fn serve_deadline(&self) -> bool {
        let now = self.now.get();
        let mut graph = self.graph.borrow_mut();
        let graph = &mut *graph;
        let mut tastes = graph.tastes.iter_mut();
        let Some((id, taste)) = tastes.find(|(_, taste)| taste.is_overdue(now)) else {
            return false;
        };
        taste.late = true;
        if let Some(provider) = graph.providers.get_mut(*id) {
            provider.tasted = Tasted::Late;
            let name = &provider.name;
            let seconds = self.params.taste_deadline.as_secs();
            graph
                .notices
                .add(format!("{name}: no answer in {seconds} s, left untasted"));
        }
        true
    }
}

impl Graph {
    /// Ends a taste as soon as the read that is out is back.
    pub(crate) fn cancel_taste(&mut self, id: ProviderId) {
        if let Some(taste) = self.tastes.get_mut(&id) {
            taste.cancelled = true;
            self.post(id, |pending| pending.step = true);
        }
    }

    /// Whether somebody writes to a provider other than through the partitions on it.
    fn is_written(&self, id: ProviderId) -> bool {
        let consumers = self
            .providers
            .get(id)
            .into_iter()
            .flat_map(|p| &p.consumers);
        let mut consumers = consumers.filter_map(|id| self.consumers.get(*id));
        consumers.any(|consumer| {
            let node = self.geoms.get(consumer.geom);
            let through = node.is_some_and(|node| matches!(node.kind, Kind::Slicer(_)));
            consumer.counts.write > 0 && !through
        })
    }

    /// Takes back the read that was out, unless the taste is not wanted any more.
    fn resume_taste(&mut self, id: ProviderId, mesh: &Mesh) -> Option<Next> {
        let written = self.is_written(id);
        let taste = self.tastes.get_mut(&id)?;
        let provider = self.providers.get_mut(id)?;
        let result = match &taste.waiting {
            Some(waiting) => match waiting.ticket.result() {
                None => return Some(Next::Wait),
                done => done,
            },
            None => None,
        };
        if written {
            return Some(Next::End(Tasted::Writing));
        }
        if taste.cancelled || taste.restart || !provider.is_live() {
            return Some(Next::End(Tasted::Pending));
        }
        if let (Some(result), Some(waiting)) = (result, taste.waiting.take()) {
            taste.supply(result, &waiting);
            if core::mem::take(&mut taste.late) {
                taste.deadline = mesh.now.get() + mesh.params.taste_deadline;
                provider.tasted = Tasted::Running;
            }
        }
        None
    }

    /// Asks the classes, from the one it had come to, until one needs to read.
    fn ask_classes(&mut self, id: ProviderId, mesh: &Mesh) -> Next {
        loop {
            let (Some(taste), Some(provider)) = (self.tastes.get(&id), self.providers.get(id))
            else {
                return Next::Wait;
            };
            let index = taste.class;
            let Some(class) = mesh.classes.get(index) else {
                return Next::End(Tasted::Done);
            };
            if taste.refresh || self.slicer_on(id, index).is_none() {
                match class.taste(&taste.media, &provider.outer) {
                    Err(need) if taste.reads < mesh.params.taste_reads && need.length <= BUDGET => {
                        return Next::Read(taste.consumer, need);
                    }
                    Err(_) => {
                        let (name, class) = (&provider.name, class.name());
                        let line = format!("{name}: {class} wants to read too much, not tasted");
                        self.notices.add(line);
                    }
                    Ok(verdict) => self.apply_verdict(id, index, class.name(), verdict),
                }
            }
            if let Some(taste) = self.tastes.get_mut(&id) {
                taste.class += 1;
            }
        }
    }
}
