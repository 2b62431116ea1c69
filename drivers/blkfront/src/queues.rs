//! The rings of one connection, and which request goes to which.
//!
//! Each ring has an event channel and pages of its own. A request goes to the one with the fewest
//! outstanding; one that must not pass another comes alone, since GEOM sees to that.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;

use exec::Executor;
use geom::Errno;
use geom::disk::DiskBio;
use hv::{DomId, Hypervisor, PAGE_SIZE};
use pv::{Granted, Pv};
use xen_abi::io::blkif::RESPONSE_SIZE;

use crate::fault::Fault;
use crate::feature::Features;
use crate::queue::{Abandoned, Answers, Misbehaviour, Queue};

/// Nodes to be published, by key.
pub(crate) type Keys = Vec<(String, String)>;

/// Rings in use, one at least.
pub(crate) struct Queues<H: Hypervisor> {
    list: Vec<Queue<H>>,
    features: Features,
    /// Has room for the rings, so that leaving allocates nothing.
    remnant: Remnant<H>,
}

/// Whom a connection is to, and how far it is trusted.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) domain: DomId,
    /// Otherwise it is shown no byte but those of its requests.
    pub(crate) trusted: bool,
    /// What the device is called here.
    pub(crate) name: &'a str,
    /// The device's number.
    pub(crate) device: u32,
}

impl<H: Hypervisor> Queues<H> {
    /// Takes the pages and the ports that a connection needs, and returns the nodes that tell the
    /// backend of them.
    pub(crate) fn new(
        pv: &Pv<H>,
        peer: Peer<'_>,
        features: Features,
    ) -> Result<(Self, Keys), Fault> {
        let mut keys = Keys::new();
        let mut add = |key: &str, value: String| keys.push((key.to_string(), value));
        add("protocol", String::from("x86_64-abi"));
        add("feature-persistent", String::from("1"));
        if features.ring_order > 0 {
            add("ring-page-order", features.ring_order.to_string());
            add("num-ring-pages", (1u32 << features.ring_order).to_string());
        }
        if features.queues > 1 {
            add("multi-queue-num-queues", features.queues.to_string());
        }
        let mut list = Vec::new();
        for index in 0..features.queues {
            let queue = Queue::new(pv, peer, features, index)?;
            let folder = match features.queues {
                1 => String::new(),
                _ => format!("queue-{index}/"),
            };
            queue.add_keys(&folder, &mut keys);
            list.push(queue);
        }
        let remnant = Remnant {
            queues: Vec::with_capacity(list.len()),
        };
        let this = Self {
            list,
            features,
            remnant,
        };
        Ok((this, keys))
    }

    /// What the backend is still believed to understand.
    pub(crate) fn features(&self) -> Features {
        self.features
    }

    /// Believes the backend to understand `features` from now on.
    pub(crate) fn set_features(&mut self, features: Features) {
        self.features = features;
    }

    /// Requests without an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.list.iter().map(Queue::outstanding).sum()
    }

    /// Waits for an event of the backend's. One that raises too many without cause is not heard for
    /// a while.
    pub(crate) async fn event(&self, exec: &Executor) {
        let channels = || self.list.iter().map(Queue::channel);
        let quiet_until = channels().filter_map(|channel| channel.quiet_until()).max();
        if let Some(quiet_until) = quiet_until {
            exec.sleep_until(quiet_until).await;
        }
        poll_fn(|context| {
            // Whichever rang: the answers in all rings are looked at then.
            let rang = channels().any(|channel| channel.poll_wait(context).is_ready());
            if rang { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Says whether the last event brought answers.
    pub(crate) fn count_event(&self, useful: bool) {
        for channel in self.list.iter().map(Queue::channel) {
            if useful {
                channel.was_useful();
            } else {
                channel.was_spurious();
            }
        }
    }

    /// Takes every answer there is. What the backend turned out not to know goes back to the front
    /// of `waiting` if there is another way to ask for it.
    ///
    /// # Errors
    /// The first thing the backend may not do; the queues are of no more use then. What was
    /// answered before is completed.
    pub(crate) fn finish(
        &mut self,
        waiting: &mut VecDeque<DiskBio>,
    ) -> Result<Answers, Misbehaviour> {
        let mut taken = Ok(());
        for queue in &mut self.list {
            taken = taken.and(queue.take_answers());
        }
        let mut answers = Answers::default();
        for queue in &mut self.list {
            queue.complete(&mut self.features, waiting, &mut answers);
        }
        taken.map(|()| answers)
    }

    /// Turns as many of `waiting` into requests as there is room for, and tells the backend. What
    /// finds no room stays, in order: an answer makes room.
    pub(crate) fn start(&mut self, waiting: &mut VecDeque<DiskBio>) {
        let most = (self.features.segments * PAGE_SIZE) as u64;
        while let Some(mut bio) = waiting.pop_front() {
            if !bio.data.is_empty()
                && let Some(front) = bio.cut(most)
            {
                waiting.push_front(bio);
                bio = front;
            }
            let operation = match self.features.operation(&mut bio) {
                Ok(operation) => operation,
                Err(result) => {
                    bio.complete(result);
                    continue;
                }
            };
            if let Err(bio) = self.prepare(operation, bio) {
                waiting.push_front(bio);
                break;
            }
        }
        for queue in &mut self.list {
            queue.send();
        }
    }

    /// Has a queue prepare a request; gives `bio` back if none has room.
    fn prepare(&mut self, operation: u8, bio: DiskBio) -> Result<(), DiskBio> {
        let idlest = self.list.iter_mut().min_by_key(|queue| queue.outstanding());
        let mut refused = match idlest {
            Some(queue) => queue.prepare(operation, bio),
            None => Err(bio),
        };
        // Larger requests may have used up its pages, and not those of another.
        for queue in &mut self.list {
            refused = refused.or_else(|bio| queue.prepare(operation, bio));
        }
        refused
    }

    /// Lets go of the pages that no request uses, beyond what there may be now.
    pub(crate) fn trim(&mut self) {
        self.list.iter_mut().for_each(Queue::trim);
    }

    /// Fails every request without an answer, and parks the pages that they name; what is left is
    /// to be kept while the backend maps it. Allocates nothing.
    pub(crate) fn abandon(self, why: Errno) -> Remnant<H> {
        let mut remnant = self.remnant;
        for queue in self.list {
            remnant.queues.push(queue.abandon(why));
        }
        remnant
    }
}

/// Queues whose requests have all been failed, kept while the backend still maps their rings.
pub(crate) struct Remnant<H: Hypervisor> {
    queues: Vec<Abandoned<H>>,
}

impl<H: Hypervisor> Remnant<H> {
    /// Counts answers that came since the last look. Nobody is given them.
    pub(crate) fn late(&mut self) -> u64 {
        let mut entry = [0; RESPONSE_SIZE];
        let mut count = 0;
        for queue in &mut self.queues {
            while let Ok(Some(())) = queue.ring.take(&mut entry) {
                count += 1;
            }
        }
        count
    }

    /// Whether the backend still maps any page of the rings.
    pub(crate) fn is_mapped(&self) -> bool {
        let mut pages = self
            .queues
            .iter()
            .flat_map(|queue| queue.ring.memory().pages());
        pages.any(Granted::is_mapped)
    }

    /// Gives back the memory of what is not needed for keeping.
    pub(crate) fn shrink(&mut self) {
        self.queues.iter_mut().for_each(Abandoned::shrink);
    }

    /// Parks the pages of the rings, which the backend has had for long enough.
    pub(crate) fn park_rings(&self) {
        for queue in &self.queues {
            queue.ring.memory().pages().iter().for_each(Granted::park);
        }
    }
}
