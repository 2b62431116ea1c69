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
use crate::class::Class;
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
        let Some(provider) = graph.providers.get_mut(&id) else {
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
        if provider.counts.write > 0 {
            provider.tasted = Tasted::Writing;
            return;
        }
        let attached = |class| graph.slicer_on(id, class).is_some();
        if media.sector_count() == 0 || (!refresh && (0..self.classes.len()).all(attached)) {
            if let Some(provider) = graph.providers.get_mut(&id) {
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
        if let Some(provider) = graph.providers.get_mut(&id) {
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
                graph.next_of_taste(id, &self.classes, self.params.taste_reads, self)
            };
            match next {
                Next::Wait => return,
                Next::End(tasted) => return self.end_taste(id, tasted),
                Next::Read(consumer, need) => self.read_for_taste(id, consumer, need),
            }
        }
    }

    /// Opens the taste's consumer at its first step.
    fn open_for_taste(&self, id: ProviderId) -> Result<(), crate::Errno> {
        let consumer = {
            let graph = self.graph.borrow();
            let Some(taste) = graph.tastes.get(&id) else {
                return Ok(());
            };
            let consumer = graph.consumers.get(&taste.consumer);
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
        let ticket = self.submit(consumer, order);
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
        if let Some(provider) = graph.providers.get_mut(&id) {
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
        let Some((id, taste)) = tastes.find(|(_, taste)| !taste.late && taste.deadline <= now)
        else {
            return false;
        };
        taste.late = true;
        if let Some(provider) = graph.providers.get_mut(id) {
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

    fn next_of_taste(
        &mut self,
        id: ProviderId,
        classes: &[Rc<dyn Class>],
        most_reads: u32,
        mesh: &Mesh,
    ) -> Next {
        let (Some(taste), Some(provider)) = (self.tastes.get_mut(&id), self.providers.get_mut(&id))
        else {
            return Next::Wait;
        };
        if let Some(waiting) = &taste.waiting {
            let Some(result) = waiting.ticket.result() else {
                return Next::Wait;
            };
            let (need, bytes) = (waiting.need, waiting.data.to_vec());
            let supplied = result.is_ok() && taste.media.supply(need.offset, &bytes).is_ok();
            if !supplied {
                taste.media.supply_error(need);
            }
            taste.waiting = None;
            taste.deadline = if taste.late {
                mesh.now.get() + mesh.params.taste_deadline
            } else {
                taste.deadline
            };
            taste.late = false;
            provider.tasted = Tasted::Running;
        }
        if provider.counts.write > 0 {
            return Next::End(Tasted::Writing);
        }
        if taste.cancelled || taste.restart || !provider.is_live() {
            return Next::End(Tasted::Pending);
        }
        let Some(class) = classes.get(taste.class) else {
            return Next::End(Tasted::Done);
        };
        let verdict = class.taste(&taste.media, &provider.outer);
        let (consumer, index) = (taste.consumer, taste.class);
        let (refresh, reads) = (taste.refresh, taste.reads);
        let attached = self.slicer_on(id, index);
        match verdict {
            _ if attached.is_some() && !refresh => {}
            Err(need) if reads < most_reads && need.length <= BUDGET => {
                return Next::Read(consumer, need);
            }
            Err(_) => {
                let name = self
                    .providers
                    .get(&id)
                    .map(|provider| provider.name.clone());
                let name = name.as_deref().unwrap_or_default();
                let class = class.name();
                self.notices.add(format!(
                    "{name}: {class} wants to read too much, not tasted"
                ));
            }
            Ok(verdict) => self.apply_verdict(id, index, class.name(), verdict),
        }
        if let Some(taste) = self.tastes.get_mut(&id) {
            taste.class += 1;
        }
        self.next_of_taste(id, classes, most_reads, mesh)
    }
}
