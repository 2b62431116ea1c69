//! Obeys the orders about rings.

use super::device::Frontend;
use super::handshake::pause;
use super::order::request::{Content, Fields, Request};
use super::order::traffic::{Renewal, Traffic};
use super::order::word::{Part, Reference};
use super::queue::Queue;
use super::slot::{Answer, Body, Slot};
use super::work;
use crate::xen::evtchn::Evtchn;
use anyhow::{Context, Result, bail};
use hv::SharedMem;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use xen_abi::io::blkif::{OP_DISCARD, OP_INDIRECT, SEGMENTS_PER_INDIRECT_PAGE, Segment};

impl Frontend {
    pub(super) fn drive(&mut self, order: Traffic) -> Result<String> {
        match order {
            Traffic::Push(request) => self.push(&request)?,
            Traffic::Send(request) => {
                self.push(&request)?;
                self.queue(request.queue)?.submit()?;
            }
            Traffic::Submit(queue) => self.queue(queue)?.submit()?,
            Traffic::Jump { queue, by } => {
                let index = self.queue(queue)?.jump(by)?;
                return Ok(format!("req_prod={index}"));
            }
            Traffic::Produce { queue, index } => self.queue(queue)?.produce(index)?,
            Traffic::Event { queue, index } => {
                let memory = self.queue(queue)?.memory()?;
                memory.store_u32(xen_abi::io::ring::RSP_EVENT, index);
            }
            Traffic::Storm {
                queue,
                count,
                pause: between,
            } => {
                let start = Instant::now();
                let queue = self.queue(queue)?;
                for _ in 0..count {
                    queue.notify()?;
                    pause(between);
                }
                return Ok(format!("ms={}", start.elapsed().as_millis()));
            }
            Traffic::Take { count, limit } => return self.take(count, limit),
            Traffic::Quiet(time) => self.quiet(time)?,
            Traffic::Indices(queue) => return self.queue(queue)?.indices(),
            Traffic::Unbind(queue) => self.queue(queue)?.unbind(),
            Traffic::Port(domain) => {
                let port = Evtchn::unbound(domain)?;
                let number = port.port();
                self.ports.push(port);
                return Ok(number.to_string());
            }
            Traffic::Renew(renewal) => self.renew(renewal)?,
            Traffic::Work(job) => return work::run(self, &job),
        }
        Ok(String::new())
    }

    fn renew(&mut self, renewal: Renewal) -> Result<()> {
        let shape = &mut self.shape;
        if let Some(order) = renewal.ring_order {
            shape.set_ring_order(order)?;
        }
        if let Some(queues) = renewal.queues {
            shape.set_queues(queues)?;
        }
        shape.abi = renewal.abi.unwrap_or(shape.abi);
        self.make_queues()
    }

    /// Writes the request's entries into its ring.
    fn push(&mut self, request: &Request) -> Result<()> {
        for time in 0..request.times {
            let entry = match &request.content {
                Content::Raw(bytes) => bytes.clone(),
                Content::Fields(fields) => {
                    let id = fields.id.wrapping_add(u64::from(time));
                    self.slot(fields, id)?.encode(self.shape.abi)
                }
            };
            let queue = self.queue(request.queue)?;
            queue.push(&entry, request.force)?;
        }
        Ok(())
    }

    fn slot(&self, fields: &Fields, id: u64) -> Result<Slot> {
        let segments = fields.segments.iter().map(|part| self.segment(part));
        let segments: Vec<Segment> = segments.collect::<Result<_>>()?;
        let body = match fields.operation {
            OP_DISCARD => Body::Discard {
                flag: fields.flag,
                sectors: fields.sectors,
            },
            OP_INDIRECT => Body::Indirect {
                operation: fields.inner,
                count: fields.count.map_or_else(|| segments.len().try_into(), Ok)?,
                lists: self.list(&segments, &fields.lists)?,
            },
            operation => Body::Direct {
                operation,
                count: match fields.count {
                    Some(count) => u8::try_from(count)?,
                    None => u8::try_from(segments.len())?,
                },
                segments,
            },
        };
        Ok(Slot {
            id,
            sector: fields.sector,
            handle: fields.handle,
            body,
        })
    }

    fn segment(&self, part: &Part) -> Result<Segment> {
        Ok(Segment {
            gref: self.pages.reference(part.reference)?,
            first_sect: part.first,
            last_sect: part.last,
        })
    }

    /// Writes segments into the lists that are pages; returns the lists' references.
    fn list(&self, segments: &[Segment], lists: &[Part]) -> Result<[u32; 8]> {
        let mut chunks = segments.chunks(SEGMENTS_PER_INDIRECT_PAGE);
        let mut references = [0; 8];
        for (place, list) in references.iter_mut().zip(lists) {
            *place = self.pages.reference(list.reference)?;
            let chunk = chunks.next().unwrap_or_default();
            if let Reference::Page(page) = list.reference {
                let bytes: Vec<u8> = chunk.iter().flat_map(Segment::encode).collect();
                self.pages.memory(page)?.write(0, &bytes);
            }
        }
        if chunks.next().is_some() {
            bail!("there are more segments than the lists hold");
        }
        Ok(references)
    }

    /// Waits for so many responses, or for all there can be, and says what they are.
    fn take(&mut self, count: Option<u32>, limit: Duration) -> Result<String> {
        let all = || self.queues.iter().map(Queue::outstanding).sum();
        let count: u32 = count.unwrap_or_else(all);
        let mut stdout = io::stdout().lock();
        collect(&mut self.queues, count, limit, |answer| {
            Ok(writeln!(stdout, "{}", line(&answer))?)
        })?;
        let left: u32 = self.queues.iter().map(Queue::outstanding).sum();
        Ok(format!("taken={count} outstanding={left}"))
    }

    /// Fails if a response comes.
    fn quiet(&mut self, time: Duration) -> Result<()> {
        std::thread::sleep(time);
        for queue in &self.queues {
            let count = queue.responses()?;
            if count > 0 {
                bail!("{count} responses have come");
            }
        }
        Ok(())
    }
}

fn line(answer: &Answer) -> String {
    let Answer {
        queue,
        id,
        operation,
        status,
        padding,
    } = answer;
    format!(
        "response queue={queue} id={id} operation={operation} status={status} padding={padding}"
    )
}

/// Waits for `count` responses of any queue and gives each to `each`. Those that come must come
/// with an event, if one was asked for.
pub(super) fn collect(
    queues: &mut [Queue],
    count: u32,
    limit: Duration,
    mut each: impl FnMut(Answer) -> Result<()>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut taken = 0;
    while taken < count {
        let (before, is_late) = (taken, Instant::now() >= deadline);
        for queue in queues.iter_mut() {
            while taken < count
                && let Some(answer) = queue.take()?
            {
                taken += 1;
                each(answer)?;
            }
        }
        let mut more = taken > before;
        for queue in queues.iter() {
            more |= queue.arm()?;
        }
        if !more && (is_late || !wait(queues, deadline)?) {
            let mut silent = 0;
            for queue in queues.iter() {
                silent += queue.responses()?;
            }
            let limit = limit.as_millis();
            bail!(
                "{taken} of {count} responses in {limit} ms, and {silent} that came without an \
                 event"
            );
        }
    }
    Ok(())
}

/// Waits for an event; whether there was one before the deadline.
fn wait(queues: &mut [Queue], deadline: Instant) -> Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).context("a time to wait")?;
    let bound: Vec<usize> = (0..queues.len())
        .filter(|number| queues[*number].port().is_some())
        .collect();
    let mut waits: Vec<PollFd<'_>> = bound
        .iter()
        .filter_map(|number| queues[*number].port())
        .map(|port| PollFd::from_borrowed_fd(port.as_fd(), PollFlags::IN))
        .collect();
    poll(&mut waits, Some(&left))?;
    let rang: Vec<bool> = waits
        .iter()
        .map(|wait| !wait.revents().is_empty())
        .collect();
    drop(waits);
    let mut any = false;
    for (number, rang) in bound.into_iter().zip(rang) {
        if rang {
            queues[number].take_event()?;
            any = true;
        }
    }
    Ok(any)
}
