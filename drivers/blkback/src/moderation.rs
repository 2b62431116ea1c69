//! Whether to gather answers before the frontend is told of them; pure.
//!
//! A frontend that has many requests under way need not be told of each answer: an event may cost
//! its domain more than a small request does, and so may telling us of each request. Whether it
//! does is not seen from here, nor how many requests it has under way, since a fast disk answers
//! each before the next is sent. So it is tried: some requests are answered at once, as many are
//! answered together, three times; if the frontend is clearly faster with the second each time,
//! that is kept for a while, and then tried again. A frontend that only waits longer is answered at
//! once. So is one that pauses, until it has been tried anew, and one whose requests are large: what
//! an event costs is little beside them, and less than one measurement differs from the next.
//!
//! While answers are gathered, the ring is looked at by the timer, and no events are asked for. If
//! there is nothing new by then, the frontend waits: it is told, and from then on half as many are
//! gathered, so that it has the other half to do.

use core::time::Duration;

use hv::Instant;

/// Answers that are gathered at most, and at least if any are.
const MOST: usize = 16;
const LEAST: usize = 3;
/// After so many times that they came about, one more is gathered.
const GROWTH: u32 = 16;
/// A frontend that waits so many times more than answers come about for it is told of each.
const WAITS: u32 = 3;
/// So many requests are timed together.
const EPOCH: u32 = 32;
/// Requests are large if they have more bytes than this in the mean of an epoch: to copy as many
/// takes some 3 us at 10 GB/s, which is about what an event costs a domain.
const LARGE: u64 = 32 << 10;
/// Whether answers are gathered in the epochs of a trial, which are compared two by two. Bursts may
/// have one pause in some epochs and two in others, but not so that they look like this.
const TRIAL: [bool; 6] = [false, true, true, false, false, true];
/// Epochs until the next trial; fewer after the first ones that showed that it is not worth it.
const KEPT: u32 = 128;
const FAILED: u32 = 16;
/// To gather is worth it if the frontend takes at most so many eighths of the time.
const WORTH: u32 = 7;
/// It is no longer if it takes so many quarters of the time.
const SLOWER: u32 = 5;
/// The time between two looks: as long as the frontend takes for so many requests, within bounds.
const LOOK: u32 = 3;
const SHORTEST: Duration = Duration::from_micros(4);
const LONGEST: Duration = Duration::from_millis(5);
/// A frontend that asks for nothing for as long as it takes for so many requests has paused. What
/// it does then may be another load: the next trial is no more than so many epochs away.
const PAUSE: u32 = 64;
const RENEWED: u32 = 2;

/// What was learned of one ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moderation {
    gathers: bool,
    /// Answers to gather.
    batch: usize,
    /// How many times they came about since one more was gathered.
    grown: u32,
    /// How many times more the frontend waited for fewer.
    waited: u32,
    stage: Stage,
    /// Epochs until the next trial if this one shows that it is not worth it.
    failed: u32,
    /// This epoch: since when, if a request has come in it, and how many came then, of how many
    /// bytes.
    begun: Option<Instant>,
    count: u32,
    bytes: u64,
    /// When a request was last found.
    found: Instant,
    /// What the frontend took for each request in the last epoch in which it was told of each
    /// answer, and in the last one in which it was told of many.
    each: Duration,
    many: Duration,
    /// Sums of both in this trial: told of each answer, and told of many.
    sums: [Duration; 2],
    /// What it must not take for one without having paused.
    limit: Duration,
    /// While answers are gathered: when to look next.
    next: Option<Instant>,
    /// Since when there are answers that the frontend cannot see.
    held: Option<Instant>,
    /// Whether a request was found since `next` was set.
    fed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The epochs that have passed of a trial.
    Trial(usize),
    /// The epochs until the next one.
    Kept(u32),
}

/// The requests that a look at the ring found, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) requests: u32,
    pub(crate) bytes: u64,
}

/// What to do after a look at the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Show the frontend its answers.
    pub(crate) publish: bool,
    /// Look again then, and ask for no events until then.
    pub(crate) again: Option<Instant>,
}

impl Moderation {
    /// What is known of a ring that is new at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            gathers: false,
            batch: MOST,
            grown: 0,
            waited: 0,
            stage: Stage::Trial(0),
            failed: FAILED,
            begun: None,
            count: 0,
            bytes: 0,
            found: now,
            each: Duration::from_millis(1),
            many: Duration::ZERO,
            sums: [Duration::ZERO; 2],
            limit: LONGEST * PAUSE,
            next: None,
            held: None,
            fed: false,
        }
    }

    /// A look at `now` found these requests, and so many answers are held back now.
    pub(crate) fn looked(&mut self, now: Instant, found: Found, held: usize) -> Advice {
        let any = found.requests != 0;
        if any {
            self.fed = true;
            self.time(now, found);
        }
        if held != 0 && self.held.is_none() {
            self.held = Some(now);
        }
        let is_late = self.held.is_some_and(|since| now.since(since) >= LONGEST);
        let enough = self.gathers && held >= self.batch;
        if enough {
            self.comes_about();
        }
        let mut publish = enough || is_late;
        if publish {
            self.held = None;
        }
        self.next = match self.next {
            _ if !self.gathers => None,
            None if !any || held == 0 => None,
            None => Some(self.pause(now)),
            Some(_) if publish && self.fed => Some(self.pause(now)),
            Some(next) if now < next => Some(next),
            Some(_) if self.fed => Some(self.pause(now)),
            Some(_) if enough => None,
            Some(_) => {
                self.waits(held);
                None
            }
        };
        publish |= self.next.is_none();
        if publish {
            self.held = None;
        }
        Advice {
            publish,
            again: self.next,
        }
    }

    fn pause(&mut self, now: Instant) -> Instant {
        self.fed = false;
        let next = now.after((self.each * LOOK).clamp(SHORTEST, LONGEST));
        self.held
            .map_or(next, |since| next.min(since.after(LONGEST)))
    }

    /// As many answers as wanted were gathered.
    fn comes_about(&mut self) {
        self.waited = self.waited.saturating_sub(1);
        self.grown += 1;
        if self.grown == GROWTH {
            self.grown = 0;
            self.batch = (self.batch + 1).min(MOST);
        }
    }

    /// The frontend waits for the answers that are held back, if there are any.
    fn waits(&mut self, held: usize) {
        if held == 0 {
            return;
        }
        self.batch = (held / 2).clamp(LEAST, MOST);
        self.grown = 0;
        self.waited += 1;
        if self.waited == WAITS {
            self.fails();
        }
    }

    /// Takes the time of what the frontend does.
    fn time(&mut self, now: Instant, found: Found) {
        if now.since(self.found) > self.limit {
            self.pauses();
        }
        self.found = now;
        let Some(begun) = self.begun else {
            self.begins(now);
            return;
        };
        self.count += found.requests;
        self.bytes += found.bytes;
        // Requests that one turn of the run loop finds seem to come all at once.
        if self.count >= EPOCH && now > begun {
            let pace = now.since(begun) / self.count;
            let is_large = self.bytes / u64::from(self.count) > LARGE;
            self.begins(now);
            self.epoch_ends(pace, is_large);
        }
    }

    /// An epoch begins.
    fn begins(&mut self, now: Instant) {
        (self.begun, self.count, self.bytes) = (Some(now), 0, 0);
    }

    /// The frontend has paused: its load may be another one now.
    fn pauses(&mut self) {
        self.begun = None;
        self.limit = (self.limit * 2).min(LONGEST * PAUSE);
        let epochs = match self.stage {
            Stage::Kept(epochs) if !self.gathers => epochs.min(RENEWED),
            _ => RENEWED,
        };
        self.keep(false, epochs);
    }

    fn epoch_ends(&mut self, pace: Duration, is_large: bool) {
        self.limit = pace * PAUSE;
        if self.gathers {
            self.many = pace;
        } else {
            self.each = pace;
        }
        match self.stage {
            _ if is_large => self.keep(false, RENEWED),
            Stage::Trial(epoch) => self.tries(epoch),
            Stage::Kept(_) if self.gathers && pace > self.each / 4 * SLOWER => {
                self.keep(false, RENEWED);
            }
            Stage::Kept(0) => {
                (self.gathers, self.batch, self.waited) = (false, MOST, 0);
                (self.stage, self.sums) = (Stage::Trial(0), [Duration::ZERO; 2]);
            }
            Stage::Kept(epochs) => self.stage = Stage::Kept(epochs - 1),
        }
    }

    /// This epoch of a trial has passed.
    fn tries(&mut self, epoch: usize) {
        if epoch % 2 == 1 {
            let [all_each, all_many] = &mut self.sums;
            *all_each += self.each;
            *all_many += self.many;
            if self.many > self.each {
                return self.fails();
            }
        }
        let [each, many] = self.sums;
        if let Some(gathers) = TRIAL.get(epoch + 1) {
            self.gathers = *gathers;
            self.stage = Stage::Trial(epoch + 1);
        } else if many <= each / 8 * WORTH {
            self.failed = FAILED;
            self.keep(true, KEPT);
        } else {
            self.fails();
        }
    }

    /// To gather is not worth it.
    fn fails(&mut self) {
        self.keep(false, self.failed);
        self.failed = (self.failed * 2).min(KEPT);
    }

    fn keep(&mut self, gathers: bool, epochs: u32) {
        self.waited = 0;
        self.gathers = gathers;
        self.stage = Stage::Kept(epochs);
    }
}

#[cfg(test)]
mod tests;
