//! Harness for the frontend's end of a request ring, against a backend that writes anything.
//!
//! Oracle, after every step of a script that both ends take part in:
//!
//! * no more responses are ever taken than requests were published, and no more requests are
//!   outstanding than the ring has entries;
//! * a response is the bytes that lie in its entry at that moment;
//! * a fault is found exactly if the backend's index is impossible when it is looked at, and stays;
//! * this end writes to its own index, its event index, and the entry of a request it pushes: the
//!   rest of the page is as the backend left it;
//! * an event is sent exactly if the index it was asked for is among those just published.

use hv::{HeapMemory, SharedMem};
use ring::FrontRing;
use std::ops::Range;
use xen_abi::io::ring::{ENTRIES, REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD};

const PAGE: usize = 4096;
const NOTHING: Range<usize> = 0..0;
const STEPS_MAX: usize = 400;

/// Runs one input: a byte for the entries' size, then the script.
///
/// # Panics
/// If the oracle is broken.
pub fn response_ring(data: &[u8]) {
    let (size, script) = data
        .split_first()
        .map_or((111, data), |(size, rest)| (*size, rest));
    let mut ends = Ends::new(1 + usize::from(size) % 200);
    let mut script = Script(script);
    for _ in 0..STEPS_MAX {
        let Some(step) = script.byte() else { return };
        ends.step(step, &mut script);
    }
}

/// What is left of a script; numbers after its end are 0.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self, bytes: usize) -> u32 {
        (0..bytes).fold(0, |all, at| {
            all | u32::from(self.byte().unwrap_or(0)) << (8 * at)
        })
    }
}

/// The ring, its page as the backend sees it, and what must be true of it.
struct Ends {
    ring: FrontRing<HeapMemory>,
    page: HeapMemory,
    entry_size: usize,
    pushed: u32,
    published: u32,
    taken: u32,
    /// The backend's index as it was last believed.
    believed: u32,
    faulty: bool,
}

impl Ends {
    fn new(entry_size: usize) -> Self {
        let page = HeapMemory::new(PAGE);
        page.fill(0, PAGE, 0xa5);
        let ring = FrontRing::init(page.clone(), entry_size);
        assert!(ring.capacity().is_power_of_two());
        assert!(ENTRIES + ring.capacity() as usize * entry_size <= PAGE);
        let (pushed, published, taken, believed) = (0, 0, 0, 0);
        Self {
            ring,
            page,
            entry_size,
            pushed,
            published,
            taken,
            believed,
            faulty: false,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let before = self.page.snapshot();
        match step % 8 {
            0 => self.push(script.number(1) as u8, &before),
            1 => self.publish(&before),
            2 => self.page.store_u32(RSP_PROD, script.number(4)),
            3 => self
                .page
                .store_u32(RSP_PROD, self.taken.wrapping_add(script.number(1))),
            4 => self.take(&before),
            5 => self.final_check(&before),
            6 => {
                let at = script.number(2) as usize % PAGE;
                let length = (script.number(1) as usize).min(PAGE - at);
                self.page.fill(at, length, script.number(1) as u8);
            }
            _ => self.answer(script.number(1) as u8),
        }
        assert!(self.taken <= self.published && self.published <= self.pushed);
        assert_eq!(self.ring.outstanding(), self.pushed - self.taken);
        assert_eq!(
            self.ring.free(),
            self.ring.capacity() - self.ring.outstanding()
        );
    }

    /// A good backend: answers all it was asked.
    fn answer(&self, fill: u8) {
        self.page.fill(ENTRIES, PAGE - ENTRIES, fill);
        self.page.store_u32(RSP_PROD, self.published);
    }

    fn entry(&self, index: u32) -> Range<usize> {
        let start = ENTRIES + (index % self.ring.capacity()) as usize * self.entry_size;
        start..start + self.entry_size
    }

    /// Only bytes in this range of the page may have changed.
    fn only(&self, before: &[u8], range: &Range<usize>) {
        let after = self.page.snapshot();
        let outside = (0..PAGE).filter(|at| before[*at] != after[*at] && !range.contains(at));
        assert_eq!(
            outside.collect::<Vec<_>>(),
            Vec::<usize>::new(),
            "written by this end"
        );
    }

    fn push(&mut self, fill: u8, before: &[u8]) {
        let request = vec![fill; self.entry_size];
        let full = self.pushed - self.taken == self.ring.capacity();
        assert_eq!(self.ring.push(&request).is_err(), full);
        if full {
            return self.only(before, &NOTHING);
        }
        let entry = self.entry(self.pushed);
        self.only(before, &entry);
        assert_eq!(self.page.snapshot()[entry], request);
        self.pushed += 1;
    }

    fn publish(&mut self, before: &[u8]) {
        let wanted = self.page.load_u32(REQ_EVENT);
        let event = (self.published..self.pushed).any(|index| index + 1 == wanted);
        assert_eq!(self.ring.publish(), event);
        self.published = self.pushed;
        self.only(before, &(REQ_PROD..REQ_PROD + 4));
        assert_eq!(self.page.load_u32(REQ_PROD), self.published);
    }

    /// Whether there is a response; `None` after a fault. The index is only looked at when all that
    /// was believed before is used up.
    fn expect_response(&mut self) -> Option<bool> {
        if !self.faulty && self.believed == self.taken {
            let theirs = self.page.load_u32(RSP_PROD);
            self.faulty = !(self.taken..=self.published).contains(&theirs);
            if !self.faulty {
                self.believed = theirs;
            }
        }
        (!self.faulty).then_some(self.believed > self.taken)
    }

    fn take(&mut self, before: &[u8]) {
        let expected = self.expect_response();
        let mut response = vec![0; self.entry_size];
        let taken = self.ring.take(&mut response);
        assert_eq!(taken.ok().map(|one| one.is_some()), expected);
        if expected == Some(true) {
            assert_eq!(response, before[self.entry(self.taken)]);
            self.taken += 1;
        }
        self.only(before, &NOTHING);
    }

    fn final_check(&mut self, before: &[u8]) {
        let expected = self.expect_response();
        assert_eq!(self.ring.final_check().ok(), expected);
        let sleeps = expected == Some(false);
        let event = RSP_EVENT..RSP_EVENT + 4;
        self.only(before, if sleeps { &event } else { &NOTHING });
        if sleeps {
            assert_eq!(self.page.load_u32(RSP_EVENT), self.taken + 1);
        }
    }
}
