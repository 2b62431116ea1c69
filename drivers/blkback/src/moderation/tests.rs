use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::*;

const MICROSECOND: u64 = 1000;
const REQUESTS: usize = 10_000;

/// A frontend with one CPU, and the disk behind us; all times in microseconds.
#[derive(Clone, Copy, Debug)]
struct Setting {
    /// Requests under way at most.
    depth: usize,
    /// What the frontend's CPU takes for a request, for its answer, for an event from us, and
    /// for one to us.
    pace: u64,
    ends: u64,
    told: u64,
    tells: u64,
    /// From an answer to the next request, beside what the CPU takes.
    think: u64,
    disk: u64,
    /// How much later than it asked a ring is looked at.
    late: u64,
    /// Bytes of a request.
    size: u64,
}

/// So many requests of a page were found.
fn found(requests: u32) -> Found {
    Found {
        requests,
        bytes: u64::from(requests) * 4096,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks,
    Arrives,
    Completes,
    Looks,
}

/// The frontend and its ring while a load runs.
struct Load {
    setting: Setting,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    moderation: Option<Moderation>,
    again: Option<u64>,
    /// When the frontend's CPU has done what it has to do.
    cpu: u64,
    /// Whether it makes a request, and how many more it could.
    works: bool,
    ready: usize,
    held: usize,
    left: usize,
    told: usize,
}

impl Load {
    /// Runs it. Returns how long it took, and how many times the frontend was told of answers.
    fn run(setting: Setting, moderation: Option<Moderation>) -> (u64, usize) {
        let asks = (0..setting.depth).map(|_| Reverse((0, Event::Asks)));
        let mut load = Self {
            setting,
            events: asks.collect(),
            moderation,
            again: None,
            cpu: 0,
            works: false,
            ready: 0,
            held: 0,
            left: REQUESTS,
            told: 0,
        };
        let mut now = 0;
        while let Some(Reverse((at, event))) = load.events.pop() {
            now = at;
            load.happens(now, event);
        }
        assert_eq!((load.left, load.held), (0, 0), "not all were answered");
        (now, load.told)
    }

    fn at(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, event)));
    }

    fn happens(&mut self, now: u64, event: Event) {
        match event {
            Event::Asks => self.ready += 1,
            // The CPU had something else to do meanwhile.
            Event::Arrives if now < self.cpu => return self.at(self.cpu, Event::Arrives),
            Event::Arrives => {
                self.works = false;
                match self.setting.disk * MICROSECOND {
                    0 => self.held += 1,
                    disk => self.at(now + disk, Event::Completes),
                }
                self.look(now, 1);
            }
            Event::Completes => {
                self.held += 1;
                self.look(now, 0);
            }
            Event::Looks if self.again.is_some_and(|again| again <= now) => self.look(now, 0),
            Event::Looks => {}
        }
        if !self.works && self.ready != 0 && self.left != 0 {
            (self.works, self.ready, self.left) = (true, self.ready - 1, self.left - 1);
            let tells = self.setting.tells * u64::from(self.again.is_none());
            self.cpu = now.max(self.cpu) + (self.setting.pace + tells) * MICROSECOND;
            self.at(self.cpu, Event::Arrives);
        }
    }

    fn look(&mut self, now: u64, requests: u32) {
        let bytes = u64::from(requests) * self.setting.size;
        let found = Found { requests, bytes };
        let advice = match &mut self.moderation {
            Some(moderation) => moderation.looked(Instant(now), found, self.held),
            None => Advice {
                publish: true,
                again: None,
            },
        };
        let again = advice.again.map(|again| again.0);
        assert!(advice.publish || again.is_some(), "held for ever");
        assert!(again.is_none_or(|again| again > now), "looks at once");
        if let Some(again) = again.filter(|_| self.again != again) {
            self.at(again + self.setting.late * MICROSECOND, Event::Looks);
        }
        self.again = again;
        if advice.publish && self.held != 0 {
            self.told += 1;
            let held = core::mem::take(&mut self.held);
            let takes = self.setting.told + self.setting.ends * held as u64;
            self.cpu = self.cpu.max(now) + takes * MICROSECOND;
            for _ in 0..held {
                let asks = self.cpu + self.setting.think * MICROSECOND;
                self.at(asks, Event::Asks);
            }
        }
    }
}

/// How long it takes with answers that may be gathered, in parts of what it takes without;
/// and how many requests the frontend is told of together.
fn compare(setting: Setting) -> (f64, f64) {
    let (each, _) = Load::run(setting, None);
    let (gathered, told) = Load::run(setting, Some(Moderation::new(Instant(0))));
    (gathered as f64 / each as f64, REQUESTS as f64 / told as f64)
}

const DEEP: Setting = Setting {
    depth: 32,
    pace: 2,
    ends: 1,
    told: 2,
    tells: 1,
    think: 0,
    disk: 0,
    late: 0,
    size: 4096,
};

#[test]
fn a_deep_queue_is_told_of_many_answers_together_and_is_faster() {
    for (scale, late) in [(1, 0), (1, 30), (100, 0), (100, 50)] {
        let (took, together) = compare(Setting {
            pace: 2 * scale,
            ends: scale,
            told: 2 * scale,
            tells: scale,
            late,
            ..DEEP
        });
        assert!(took < 0.7, "{took} at {scale}, {late}");
        assert!(together > 8.0, "{together} at {scale}, {late}");
    }
}

#[test]
fn half_of_a_shallower_queue_is_gathered() {
    let (took, together) = compare(Setting { depth: 8, ..DEEP });
    assert!(took < 0.8, "{took}");
    assert!((3.0..6.0).contains(&together), "{together}");
}

#[test]
fn no_frontend_is_slower_for_it() {
    for depth in [1, 2, 6, 16, 32] {
        for (told, tells) in [(0, 0), (2, 1), (10, 5)] {
            for (think, disk) in [(0, 0), (0, 100), (0, 5000), (1000, 0), (50, 300)] {
                for late in [0, 60] {
                    let setting = Setting {
                        depth,
                        pace: 2,
                        ends: 1,
                        told,
                        tells,
                        think,
                        disk,
                        late,
                        size: 4096,
                    };
                    let (took, _) = compare(setting);
                    assert!(took < 1.08, "{took}: {setting:?}");
                }
            }
        }
    }
}

#[test]
fn a_frontend_that_is_not_faster_for_it_is_told_of_each() {
    // Its requests wait for something else than its CPU.
    for think in [500, 5000] {
        let (_, together) = compare(Setting { think, ..DEEP });
        assert!(together < 1.5, "{together}");
    }
}

#[test]
fn the_answers_of_large_requests_are_not_gathered() {
    for (size, gathered) in [(32 << 10, true), (33 << 10, false), (1 << 20, false)] {
        let (_, together) = compare(Setting { size, ..DEEP });
        assert_eq!(together > 2.0, gathered, "{together} of {size} bytes");
        assert!(gathered || together < 1.1, "{together} of {size} bytes");
    }
}

#[test]
fn a_frontend_whose_requests_become_large_is_told_of_each() {
    let mut moderation = gathering();
    for now in 0..=u64::from(EPOCH) {
        let (requests, bytes) = (1, 128 << 10);
        moderation.looked(Instant(now * 3 * MICROSECOND), Found { requests, bytes }, 1);
    }
    assert!(!moderation.gathers);
}

/// How long bursts wait for their answers in all: of `size` requests, and then of one that is
/// asked for when all are answered, as a file system's commit is.
fn bursts(mut moderation: Moderation, size: usize, gap: u64) -> u64 {
    let (mut now, mut waited) = (0, 0);
    for _ in 0..2000 {
        now += gap * MICROSECOND;
        for size in [size, 1] {
            let mut held = 0;
            for left in (0..size).rev() {
                now += 3 * MICROSECOND;
                held += 1;
                let mut advice = moderation.looked(Instant(now), found(1), held);
                while left == 0 && !advice.publish {
                    let again = advice.again.expect("nobody looks").0;
                    waited += again - now;
                    now = again;
                    advice = moderation.looked(Instant(now), found(0), held);
                }
                if advice.publish {
                    held = 0;
                }
            }
        }
    }
    waited / 2000
}

#[test]
fn bursts_hardly_ever_wait() {
    for size in [2, 5, 8, 12, 16, 20, 21, 24, 28, 31, 32, 100] {
        for gap in [50, 200, 1000, 5000, 20_000, 400_000] {
            let new = Moderation::new(Instant(0));
            for moderation in [new, gathering()] {
                let waited = bursts(moderation, size, gap) / MICROSECOND;
                let took = gap + 3 * size as u64;
                assert!(
                    waited * 25 < took,
                    "{waited} of {took} us: {size} each {gap}"
                );
            }
        }
    }
}

/// One that gathers, and was told of each every 3 us.
fn gathering() -> Moderation {
    let mut moderation = Moderation::new(Instant(0));
    moderation.keep(true, KEPT);
    moderation.each = Duration::from_micros(3);
    moderation.limit = moderation.each * PAUSE;
    moderation
}

#[test]
fn requests_that_come_all_at_once_say_nothing_of_the_pace() {
    let mut moderation = Moderation::new(Instant(0));
    for requests in [1, 32, 32] {
        moderation.looked(Instant(MICROSECOND), found(requests), 0);
    }
    assert!(matches!(moderation.stage, Stage::Trial(0)));
}

#[test]
fn a_frontend_that_pauses_is_told_of_each_until_it_has_been_tried_anew() {
    let mut moderation = gathering();
    for now in [3, 6, 9, 500] {
        moderation.looked(Instant(now * MICROSECOND), found(1), 1);
    }
    assert!(!moderation.gathers);
}

#[test]
fn a_frontend_that_has_become_slow_has_not_paused_for_ever() {
    let mut moderation = gathering();
    let ends = (1..1000).any(|now| {
        moderation.looked(Instant(now * 1000 * MICROSECOND), found(1), 1);
        matches!(moderation.stage, Stage::Trial(_))
    });
    assert!(ends, "it is never tried again");
}

#[test]
fn answers_that_were_gathered_are_no_wait() {
    let mut moderation = gathering();
    moderation.looked(Instant(MICROSECOND), found(1), 1);
    let due = moderation.next.unwrap();
    moderation.fed = false;
    let advice = moderation.looked(due, found(0), MOST);
    assert!(advice.publish);
    assert_eq!((moderation.batch, moderation.waited), (MOST, 0));
}

#[test]
fn nothing_held_back_is_nothing_to_gather() {
    let mut moderation = Moderation::new(Instant(0));
    moderation.gathers = true;
    assert_eq!(
        moderation.looked(Instant(MICROSECOND), found(1), 0).again,
        None
    );
    assert_ne!(
        moderation.looked(Instant(MICROSECOND), found(1), 1).again,
        None
    );
}
