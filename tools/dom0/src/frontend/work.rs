//! Honest load: a range is written in requests of all kinds and sizes, flushed, and read back in
//! others; every byte is checked, also those around what was asked for.

use super::device::Frontend;
use super::order::traffic::Job;
use super::page::same;
use super::pattern::{self, SECTOR};
use super::slot::{Answer, Body, Padding, Slot};
use super::traffic::collect;
use crate::xen::gntalloc::Granted;
use anyhow::{Context, Result, bail, ensure};
use cut::{Cut, cut};
use hv::{PAGE_SIZE, SharedMem};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;
use xen_abi::io::blkif::{
    MAX_SEGMENTS_PER_REQUEST, OP_DISCARD, OP_FLUSH_DISKCACHE, OP_READ, OP_WRITE, OP_WRITE_BARRIER,
    SEGMENT_SIZE, SEGMENTS_PER_INDIRECT_PAGE, Segment,
};

mod cut;

/// How long the backend may take for any response.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is in a page before the backend reads into it.
const CANARY: u8 = 0xa5;

/// What was asked, by kind, and the worst padding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    reads: u64,
    writes: u64,
    indirect: u64,
    flushes: u64,
    barriers: u64,
    discards: u64,
    padding: Padding,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reads,
            writes,
            indirect,
            flushes,
            barriers,
            discards,
            padding,
        } = self;
        write!(
            f,
            "reads={reads} writes={writes} indirect={indirect} flushes={flushes} \
             barriers={barriers} discards={discards} padding={padding}"
        )
    }
}

/// A request that is under way.
struct Flight {
    /// What its response must say; an indirect one's is what it does.
    operation: u8,
    queue: usize,
    /// Whose memory it has, if it has any.
    desk: Option<usize>,
    read: Option<Cut>,
}

/// The memory of one request at a time.
struct Desk {
    data: Granted,
    lists: Option<Granted>,
}

struct Worker<'a> {
    frontend: &'a mut Frontend,
    job: &'a Job,
    desks: Vec<Desk>,
    free: Vec<usize>,
    flights: HashMap<u64, Flight>,
    /// Ids count up from an odd number that no index has.
    next_id: u64,
    next_queue: usize,
    random: u64,
    counts: Counts,
}

/// Does the job; says how many requests of each kind there were.
pub(super) fn run(frontend: &mut Frontend, job: &Job) -> Result<String> {
    let nodes = &mut frontend.nodes;
    let mut number = |key: &str| nodes.number(key);
    let sectors = number("sectors")?.context("the backend has no sectors")?;
    let unit = number("sector-size")?.unwrap_or(512) / 512;
    let [flush, barrier, discard] = [
        number("feature-flush-cache")?,
        number("feature-barrier")?,
        number("feature-discard")?,
    ]
    .map(|offer| offer == Some(1));
    let grain = number("discard-granularity")?.unwrap_or(512).max(512) / 512;
    let left = sectors.saturating_sub(job.first);
    let range = job.first..job.first + job.count.unwrap_or(left);
    ensure!(
        !range.is_empty() && range.end <= sectors,
        "sectors {range:?} of {sectors}"
    );
    ensure!(
        (1..=8).contains(&unit) && [range.start, range.end].iter().all(|at| at % unit == 0),
        "sectors {range:?} in units of {unit}"
    );

    let mut worker = Worker::new(frontend, job)?;
    if !job.reads_only {
        worker.transfer(OP_WRITE, range.clone(), unit)?;
        if barrier {
            worker.bare(OP_WRITE_BARRIER)?;
        }
        if flush {
            worker.bare(OP_FLUSH_DISKCACHE)?;
        }
    }
    worker.transfer(OP_READ, range.clone(), unit)?;
    if job.discards {
        ensure!(discard, "the backend offers no discard");
        let middle = middle(&range, grain).context("the range is too small for a discard")?;
        worker.discard(&middle)?;
        worker.transfer(OP_READ, range.start..middle.start, unit)?;
        worker.transfer(OP_READ, middle.end..range.end, unit)?;
    }
    Ok(worker.counts.to_string())
}

/// The part in the middle that is whole grains, if it is neither empty nor all.
fn middle(range: &Range<u64>, grain: u64) -> Option<Range<u64>> {
    let quarter = (range.end - range.start) / 4;
    let start = (range.start + quarter).next_multiple_of(grain);
    let end = (range.end - quarter) / grain * grain;
    (start > range.start && start < end && end < range.end).then_some(start..end)
}

impl<'a> Worker<'a> {
    fn new(frontend: &'a mut Frontend, job: &'a Job) -> Result<Self> {
        let most = job.indirect.max(MAX_SEGMENTS_PER_REQUEST);
        ensure!(most <= 4096, "an indirect request has up to 4096 segments");
        let grant = |count: usize| {
            let granted = frontend
                .gntalloc
                .grant(frontend.backend, count.try_into()?, true);
            granted.context("gntalloc gives no pages")
        };
        let mut desks = Vec::new();
        for _ in 0..job.depth.max(1) {
            let lists = job.indirect.div_ceil(SEGMENTS_PER_INDIRECT_PAGE);
            desks.push(Desk {
                data: grant(most)?,
                lists: (lists > 0).then(|| grant(lists)).transpose()?,
            });
        }
        Ok(Self {
            free: (0..desks.len()).collect(),
            frontend,
            job,
            desks,
            flights: HashMap::new(),
            next_id: 0x1234_5678_9abc_def1,
            next_queue: 0,
            random: 0,
            counts: Counts {
                reads: 0,
                writes: 0,
                indirect: 0,
                flushes: 0,
                barriers: 0,
                discards: 0,
                padding: Padding::Zero,
            },
        })
    }

    /// Reads and checks, or writes, all of the range.
    fn transfer(&mut self, operation: u8, range: Range<u64>, unit: u64) -> Result<()> {
        let mut at = range.start;
        while at < range.end || !self.flights.is_empty() {
            while at < range.end
                && let Some(queue) = self.queue_with_room()
                && let Some(desk) = self.free.pop()
            {
                let is_indirect = self.job.indirect > 0 && !self.random().is_multiple_of(4);
                let most = if is_indirect {
                    self.job.indirect
                } else {
                    MAX_SEGMENTS_PER_REQUEST
                };
                let seed = self.random();
                let cut = cut(seed, at, range.end - at, most, unit);
                at += cut.sectors();
                self.start(operation, queue, desk, cut, is_indirect)?;
            }
            self.submit()?;
            self.finish_one()?;
        }
        Ok(())
    }

    fn start(
        &mut self,
        operation: u8,
        queue: usize,
        desk: usize,
        cut: Cut,
        is_indirect: bool,
    ) -> Result<()> {
        let place = &self.desks[desk];
        let memory = &place.data.memory;
        if operation == OP_READ {
            memory.fill(0, cut.parts.len() * PAGE_SIZE, CANARY);
            self.counts.reads += 1;
        } else {
            for (offset, number) in cut.places() {
                memory.write(offset, &pattern::sector(self.job.seed, number));
            }
            self.counts.writes += 1;
        }
        let segments: Vec<Segment> = cut
            .parts
            .iter()
            .zip(&place.data.references)
            .map(|((first, last), gref)| Segment {
                gref: *gref,
                first_sect: *first,
                last_sect: *last,
            })
            .collect();
        let body = if is_indirect {
            self.counts.indirect += 1;
            let lists = place.lists.as_ref().context("there are no lists")?;
            let bytes: Vec<u8> = segments.iter().flat_map(Segment::encode).collect();
            lists.memory.write(0, &bytes);
            let mut references = [0; 8];
            let needed = bytes
                .len()
                .div_ceil(SEGMENT_SIZE * SEGMENTS_PER_INDIRECT_PAGE);
            references[..needed].copy_from_slice(&lists.references[..needed]);
            Body::Indirect {
                operation,
                count: segments.len().try_into()?,
                lists: references,
            }
        } else {
            Body::Direct {
                operation,
                count: segments.len().try_into()?,
                segments,
            }
        };
        let flight = Flight {
            operation,
            queue,
            desk: Some(desk),
            read: (operation == OP_READ).then(|| cut.clone()),
        };
        self.push(cut.sector, body, flight)
    }

    fn push(&mut self, sector: u64, body: Body, flight: Flight) -> Result<()> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(0x0101_0101_0101_0101);
        let slot = Slot {
            id,
            sector,
            handle: 0,
            body,
        };
        let entry = slot.encode(self.frontend.shape.abi);
        self.frontend.queue(flight.queue)?.push(&entry, false)?;
        self.flights.insert(id, flight);
        Ok(())
    }

    /// A request without segments, alone.
    fn bare(&mut self, operation: u8) -> Result<()> {
        let body = Body::Direct {
            operation,
            count: 0,
            segments: Vec::new(),
        };
        match operation {
            OP_FLUSH_DISKCACHE => self.counts.flushes += 1,
            _ => self.counts.barriers += 1,
        }
        self.alone(operation, 0, body)
    }

    fn discard(&mut self, range: &Range<u64>) -> Result<()> {
        self.counts.discards += 1;
        let body = Body::Discard {
            flag: 0,
            sectors: range.end - range.start,
        };
        self.alone(OP_DISCARD, range.start, body)
    }

    fn alone(&mut self, operation: u8, sector: u64, body: Body) -> Result<()> {
        let queue = self.queue_with_room().context("the ring is full")?;
        let flight = Flight {
            operation,
            queue,
            desk: None,
            read: None,
        };
        self.push(sector, body, flight)?;
        self.submit()?;
        self.finish_one()
    }

    fn submit(&mut self) -> Result<()> {
        let queues = &mut self.frontend.queues;
        queues.iter_mut().try_for_each(|queue| queue.submit())
    }

    fn finish_one(&mut self) -> Result<()> {
        let (flights, desks, free) = (&mut self.flights, &self.desks, &mut self.free);
        let worst = &mut self.counts.padding;
        collect(&mut self.frontend.queues, 1, PATIENCE, |answer| {
            let flight = landed(flights, &answer)?;
            *worst = answer.padding.max(*worst);
            if let Some(desk) = flight.desk {
                free.push(desk);
                if let Some(cut) = &flight.read {
                    check(cut, &desks[desk].data.memory, self.job.seed)?;
                }
            }
            Ok(())
        })
    }

    /// The next queue in turn that has room.
    fn queue_with_room(&mut self) -> Option<usize> {
        let queues = &self.frontend.queues;
        let mut turns = (0..queues.len()).map(|turn| (self.next_queue + turn) % queues.len());
        let queue = turns.find(|number| queues[*number].has_room())?;
        self.next_queue = queue + 1;
        Some(queue)
    }

    fn random(&mut self) -> u64 {
        self.random += 1;
        pattern::output(!self.job.seed, self.random)
    }
}

/// The request that was answered, if that is as it should be.
fn landed(flights: &mut HashMap<u64, Flight>, answer: &Answer) -> Result<Flight> {
    let Some(flight) = flights.remove(&answer.id) else {
        bail!("{answer:?} to no request");
    };
    let expected = Answer {
        queue: flight.queue,
        id: answer.id,
        operation: flight.operation,
        status: 0,
        padding: answer.padding.min(Padding::Kept),
    };
    ensure!(*answer == expected, "{answer:?}, not {expected:?}");
    Ok(flight)
}

/// The disk's bytes are where they were to be read to, and nothing else was touched.
fn check(cut: &Cut, memory: &impl SharedMem, seed: u64) -> Result<()> {
    let mut places = cut.places().peekable();
    for offset in (0..cut.parts.len() * PAGE_SIZE).step_by(SECTOR) {
        let mut found = [0; SECTOR];
        memory.read(offset, &mut found);
        match places.next_if(|(place, _)| *place == offset) {
            Some((_, number)) => same(&found, &pattern::sector(seed, number), number)?,
            None => ensure!(
                found == [CANARY; SECTOR],
                "memory beside the segments {:?} was written",
                cut.parts
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discard_is_whole_grains_inside_the_range() {
        assert_eq!(middle(&(0..100), 8), Some(32..72));
        assert_eq!(middle(&(8..108), 1), Some(33..83));
        assert_eq!(middle(&(0..3), 1), None);
        assert_eq!(middle(&(0..100), 64), None);
    }
}
