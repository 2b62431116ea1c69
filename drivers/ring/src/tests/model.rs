//! Every state that an honest front and back can reach within a few requests, from index 0 and
//! across the wrap at 2^32.

use std::collections::HashSet;

use hv::HeapMemory;
use xen_abi::io::ring::ENTRIES;

use crate::{BackRing, FrontRing};

const ENTRY: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask,
    ShowRequests,
    TakeRequest,
    Answer,
    ShowResponses,
    TakeResponse,
    FrontSleeps,
    BackSleeps,
}

const STEPS: [Step; 8] = [
    Step::Ask,
    Step::ShowRequests,
    Step::TakeRequest,
    Step::Answer,
    Step::ShowResponses,
    Step::TakeResponse,
    Step::FrontSleeps,
    Step::BackSleeps,
];

/// Two real ends, and what must be true of them, in plain counts from 0.
struct World {
    front: FrontRing<HeapMemory>,
    back: BackRing<HeapMemory>,
    asked: u32,
    requests_shown: u32,
    requests_taken: u32,
    answered: u32,
    responses_shown: u32,
    responses_taken: u32,
    front_asleep: bool,
    back_asleep: bool,
}

impl World {
    fn new(capacity: usize, start: u32) -> Self {
        let memory = HeapMemory::new(ENTRIES + capacity * ENTRY);
        let front = FrontRing::init_at(memory.clone(), ENTRY, start);
        let back = BackRing::attach(memory, ENTRY).unwrap();
        Self {
            front,
            back,
            asked: 0,
            requests_shown: 0,
            requests_taken: 0,
            answered: 0,
            responses_shown: 0,
            responses_taken: 0,
            front_asleep: false,
            back_asleep: false,
        }
    }

    /// Does `step` and compares what the ends said with what is true; `false` if a sleeper would
    /// have to act or the test's bound on requests is reached.
    fn step(&mut self, step: Step, most: u32) -> bool {
        let capacity = self.front.capacity();
        let mut entry = [0; ENTRY];
        match step {
            Step::Ask if self.asked < most => {
                let pushed = self.front.push(&(self.asked + 100).to_le_bytes()).is_ok();
                assert_eq!(pushed, self.asked - self.responses_taken < capacity);
                self.asked += u32::from(pushed);
            }
            Step::ShowRequests => {
                let news = self.asked != self.requests_shown;
                let notify = self.front.publish();
                assert!(
                    notify || !(news && self.back_asleep),
                    "the backend is never woken"
                );
                assert!(news || !notify, "an event for nothing");
                self.requests_shown = self.asked;
                self.back_asleep &= !notify;
            }
            Step::TakeRequest if !self.back_asleep => {
                let took = self.back.take(&mut entry).unwrap().is_some();
                assert_eq!(took, self.requests_shown != self.requests_taken);
                if took {
                    assert_eq!(u32::from_le_bytes(entry), self.requests_taken + 100);
                    self.requests_taken += 1;
                }
            }
            Step::Answer => {
                let pushed = self.back.push(&(self.answered + 900).to_le_bytes()).is_ok();
                assert_eq!(pushed, self.answered != self.requests_taken);
                self.answered += u32::from(pushed);
            }
            Step::ShowResponses => {
                let news = self.answered != self.responses_shown;
                let notify = self.back.publish();
                assert!(
                    notify || !(news && self.front_asleep),
                    "the frontend is never woken"
                );
                assert!(news || !notify, "an event for nothing");
                self.responses_shown = self.answered;
                self.front_asleep &= !notify;
            }
            Step::TakeResponse if !self.front_asleep => {
                let took = self.front.take(&mut entry).unwrap().is_some();
                assert_eq!(took, self.responses_shown != self.responses_taken);
                if took {
                    assert_eq!(u32::from_le_bytes(entry), self.responses_taken + 900);
                    self.responses_taken += 1;
                }
            }
            Step::FrontSleeps if !self.front_asleep => {
                let more = self.front.final_check().unwrap();
                assert_eq!(more, self.responses_shown != self.responses_taken);
                self.front_asleep = !more;
            }
            Step::BackSleeps if !self.back_asleep => {
                let more = self.back.final_check().unwrap();
                assert_eq!(more, self.requests_shown != self.requests_taken);
                self.back_asleep = !more;
            }
            _ => return false,
        }
        assert_eq!(self.front.outstanding(), self.asked - self.responses_taken);
        assert_eq!(self.back.unanswered(), self.requests_taken - self.answered);
        true
    }

    /// All that decides what can happen next.
    fn key(&self) -> (String, [u32; 6], bool, bool) {
        let counts = [
            self.asked,
            self.requests_shown,
            self.requests_taken,
            self.answered,
            self.responses_shown,
            self.responses_taken,
        ];
        let ends = format!("{:?}{:?}", self.front, self.back);
        (ends, counts, self.front_asleep, self.back_asleep)
    }
}

/// Walks every reachable state; returns how many there are.
fn explore(capacity: usize, start: u32, most: u32) -> usize {
    let mut seen = HashSet::new();
    let mut frontier = vec![Vec::new()];
    while let Some(path) = frontier.pop() {
        for step in STEPS {
            let mut world = World::new(capacity, start);
            for &before in &path {
                world.step(before, most);
            }
            if world.step(step, most) && seen.insert(world.key()) {
                let mut longer: Vec<Step> = path.clone();
                longer.push(step);
                frontier.push(longer);
            }
        }
    }
    seen.len()
}

#[test]
fn front_and_back_agree_in_every_reachable_state() {
    for start in [0, 1, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
        // The same number everywhere: nothing depends on where the indices are.
        assert_eq!(explore(1, start, 3), 164);
        assert_eq!(explore(2, start, 5), 1737);
        assert_eq!(explore(4, start, 4), 2735);
    }
}

#[test]
fn entries_cross_the_pages_of_a_ring() {
    // blkif's 112 byte entries do not divide a page.
    let pages: Vec<_> = (0..4).map(|_| HeapMemory::new(hv::PAGE_SIZE)).collect();
    let memory = std::rc::Rc::new(crate::Pages::new(pages));
    let mut front = FrontRing::init(memory.clone(), 112);
    let back = BackRing::attach(memory, 112).unwrap();
    assert_eq!(front.capacity(), 128);
    let (mut request, mut response) = ([0; 112], [0; 112]);
    for round in 0..3 {
        for n in 0..128 {
            front.push(&[n ^ round; 112]).unwrap();
        }
        assert!(front.push(&[0; 112]).is_err());
        assert_eq!(front.publish(), round == 0);
        while back.take(&mut request).unwrap().is_some() {
            back.push(&request.map(|byte| !byte)).unwrap();
        }
        let _ = back.publish();
        for n in 0..128u8 {
            assert_eq!(front.take(&mut response), Ok(Some(())));
            assert_eq!(response, [!(n ^ round); 112]);
        }
        assert_eq!(front.take(&mut response), Ok(None));
    }
}

#[test]
fn ring_sizes_are_those_of_the_headers() {
    use xen_abi::io::ring::entries as capacity;
    for (entry, pages, entries) in [
        (112, 1, 32),
        (112, 2, 64),
        (108, 16, 512),
        (112, 32, 1024),
        (12, 1, 256),
        (8, 1, 256),
    ] {
        assert_eq!(
            capacity(pages * hv::PAGE_SIZE, entry),
            entries,
            "{entry} {pages}"
        );
    }
    assert_eq!(capacity(ENTRIES, 8), 0);
    assert_eq!(capacity(ENTRIES - 1, 8), 0);
}
