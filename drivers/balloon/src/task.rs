//! What follows the target, a batch at a time.

use alloc::boxed::Box;
use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;

use exec::{Executor, Level, Log};
use hv::{Errno, Instant, PAGE_SIZE};
use pv::Scarcity;
use xenbus::{Store, StoreError, Watch, number};

use crate::memory::Memory;
use crate::plan::{self, Step};
use crate::standing::Balloon;

const PART: &str = "balloon";
const TARGET: &str = "memory/target";
const STATIC_MAX: &str = "memory/static-max";
/// KiB in a page.
const KIB: usize = PAGE_SIZE / 1024;
/// The first pause after a step that could not be made, and the longest: each is twice the one
/// before.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(64);

/// How long others have to let go of what they keep for later, whichever vCPU they are on, before a
/// target is said to be out of reach.
const GRACE: Duration = Duration::from_millis(100);

/// It does not know which hypervisor it asks: so it is compiled once, and for size.
pub(crate) struct Task {
    pub(crate) memory: Box<dyn Memory>,
    pub(crate) scarcity: Scarcity,
    pub(crate) exec: Executor,
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) balloon: Balloon,
    pub(crate) aim: Aim,
}

/// What is to be reached.
#[derive(Default)]
pub(crate) struct Aim {
    /// Pages that the domain is to have and may have.
    pages: Option<(usize, usize)>,
    /// What was said of this target.
    said: Option<Said>,
    /// By when others have let go of what they keep for later, while memory is scarce.
    let_go_by: Instant,
    /// A node could not be read, and is to be read again.
    unread: bool,
}

/// What there is to say of a target, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Floor,
    Ceiling,
    Xen,
    Done,
}

/// What came of a step.
enum Came {
    /// There is more to do.
    More,
    /// Nothing, for now: to be tried again.
    Stuck,
    /// Nothing, for so long: others were asked for what they keep.
    Asked(Duration),
    /// Nothing, until the target changes.
    Rest,
}

impl Task {
    pub(crate) async fn run(mut self) {
        let Err(error) = self.follow().await;
        let text = format_args!("{TARGET} is not followed any more: {error}");
        self.log.write(Level::Warn, PART, text);
    }

    async fn follow(&mut self) -> Result<core::convert::Infallible, StoreError> {
        let watch = self.store.watch(TARGET).await?;
        let mut pause = PAUSE;
        loop {
            let wait = match self.step() {
                Came::More => Some(Duration::ZERO),
                Came::Stuck => Some(pause),
                Came::Asked(left) => Some(left),
                Came::Rest if self.aim.unread => Some(pause),
                Came::Rest => None,
            };
            let changed = self.changed(&watch, wait).await?;
            if changed || self.aim.unread {
                self.read_target().await?;
            }
            pause = if changed || wait != Some(pause) {
                PAUSE
            } else {
                (pause * 2).min(LONGEST)
            };
        }
    }

    /// Waits until the target may have changed, at most so long; whether it may have. Everybody
    /// else has had a turn then.
    async fn changed(&self, watch: &Watch, most: Option<Duration>) -> Result<bool, StoreError> {
        let exec = &self.exec;
        match most {
            None => watch.changed().await.map(|()| true),
            Some(most) => {
                next_turn(exec).await;
                match exec.timeout(most, watch.changed()).await {
                    Ok(changed) => changed.map(|()| true),
                    Err(_) => watch.check().map(|()| false),
                }
            }
        }
    }

    /// Reads what the domain is to have. What cannot be read changes nothing.
    async fn read_target(&mut self) -> Result<(), StoreError> {
        self.aim.unread = false;
        let Some(target) = self.number(TARGET).await? else {
            return Ok(());
        };
        // None is as good as 0 or a text: then the toolstack's limit is the only one.
        let most = self.number(STATIC_MAX).await?.filter(|most| *most > 0);
        self.balloon.note(|standing| {
            standing.target = Some(target);
            standing.static_max = most;
        });
        let room = self.memory.most();
        let may = most.map_or(room, |most| room.min(pages(most)));
        let aim = Some((pages(target), may));
        if self.aim.pages != aim {
            // What the domain starts with is no news.
            let first = self.aim.pages.is_none();
            let settled = first && pages(target) == self.memory.usage().total;
            self.aim.said = settled.then_some(Said::Done);
            self.aim.pages = aim;
        }
        Ok(())
    }

    /// The number that a node holds; one that holds none is said to be ignored.
    async fn number(&mut self, node: &str) -> Result<Option<u64>, StoreError> {
        match self.store.read(node).await {
            Ok(text) => match number::parse(&text) {
                Ok(number) => return Ok(Some(number)),
                Err(error) => self.say(Level::Warn, format_args!("{node} is ignored: {error}")),
            },
            Err(StoreError::NoEntry) => {}
            Err(error @ StoreError::Lost(_)) => return Err(error),
            Err(error) => {
                self.aim.unread = true;
                self.say(Level::Warn, format_args!("{node} cannot be read: {error}"));
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Came {
        let Some((target, most)) = self.aim.pages else {
            return Came::Rest;
        };
        let memory = self.memory.usage();
        let wanted = kib(target);
        let next = plan::next(&memory, target, most);
        match next {
            Step::Floor(_) | Step::Give(_) => {}
            // What others keep for later may come back.
            _ => self.scarcity.set(false),
        }
        match next {
            Step::Get(count) => self.get(count),
            Step::Give(count) => self.give(count),
            Step::Rest => {
                self.once(Said::Done, Level::Info, format_args!("{wanted} KiB now"));
                Came::Rest
            }
            Step::Floor(floor) => self.refuse(wanted, kib(memory.total), kib(floor)),
            Step::Ceiling(most) => {
                let (has, most) = (kib(memory.total), kib(most));
                let text = format_args!(
                    "a target of {wanted} KiB is more than the {most} KiB this domain may have: \
                     {has} KiB"
                );
                self.once(Said::Ceiling, Level::Warn, text);
                Came::Rest
            }
        }
    }

    /// A target of `wanted` KiB is out of reach: what others keep for later gives way first.
    fn refuse(&mut self, wanted: usize, has: usize, floor: usize) -> Came {
        let now = self.exec.now();
        if !self.scarcity.is() {
            self.scarcity.set(true);
            self.aim.let_go_by = now.after(GRACE);
        }
        let left = self.aim.let_go_by.since(now);
        if !left.is_zero() {
            return Came::Asked(left);
        }
        let text = format_args!(
            "a target of {wanted} KiB is refused: {has} KiB stay, since this domain needs {floor} \
             KiB now"
        );
        self.once(Said::Floor, Level::Warn, text);
        Came::Stuck
    }

    fn get(&mut self, count: usize) -> Came {
        let got = self.memory.get(count);
        let pages = got.unwrap_or(0) as u64;
        self.balloon.note(|standing| standing.got += pages);
        self.came("get", count, got)
    }

    fn give(&mut self, count: usize) -> Came {
        let given = self.memory.give(count);
        let pages = given.unwrap_or(0) as u64;
        self.balloon.note(|standing| standing.given += pages);
        self.came("give", count, given)
    }

    /// What came of asking Xen to `what` `count` pages.
    fn came(&mut self, what: &str, count: usize, done: Result<usize, Errno>) -> Came {
        match done {
            Ok(1..) => Came::More,
            Ok(0) => {
                let text = format_args!("cannot {what} {count} pages more for now");
                self.once(Said::Xen, Level::Info, text);
                Came::Stuck
            }
            Err(error) => {
                let text = format_args!("cannot {what} pages now: {error}");
                self.once(Said::Xen, Level::Warn, text);
                Came::Stuck
            }
        }
    }

    /// Says something of this target, unless it was the last thing said.
    fn once(&mut self, what: Said, level: Level, text: fmt::Arguments<'_>) {
        if self.aim.said != Some(what) {
            self.aim.said = Some(what);
            self.say(level, text);
        }
    }

    fn say(&self, level: Level, text: fmt::Arguments<'_>) {
        self.log.limited(level, PART, text);
    }
}

/// Waits until the run loop has come round: until everybody has had their events.
async fn next_turn(exec: &Executor) {
    let mut asked = false;
    poll_fn(|context| {
        if core::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        exec.wake_next_turn(context.waker());
        Poll::Pending
    })
    .await;
}

/// Whole pages of so many KiB.
fn pages(kib: u64) -> usize {
    usize::try_from(kib / KIB as u64).unwrap_or(usize::MAX)
}

fn kib(pages: usize) -> usize {
    pages.saturating_mul(KIB)
}
