//! The ring: takes requests, moves the data after a while, answers in any order that is allowed.

use std::rc::Rc;
use std::time::Duration;

use hv::{Access, GrantRef, Port, SharedMem};
use ring::PeerFault;

use super::connection::{Connection, Job, Piece, Queue};
use super::malice::Tamper;
use super::request::{
    DISCARD, ENTRY, EOPNOTSUPP, ERROR, FLUSH, OKAY, READ, Request, SEGMENT, SEGMENTS_PER_PAGE,
    Segment, Segments, WRITE, WRITE_BARRIER, encode_response,
};
use super::{Backend, sooner};
use crate::backend::BackSide;
use crate::layout::ring as index;
use crate::{Memory, Next, Xen};

/// How often a backend looks at its ring that cannot count on events.
const POLL: Duration = Duration::from_millis(1);

impl Backend {
    /// Takes what has come and finishes what is due.
    pub(super) fn serve_rings(&mut self, xen: &Xen) -> Next {
        let Some(mut connection) = self.connection.take() else {
            return Next::Wait;
        };
        for queue in &connection.queues {
            xen.take_event(self.vbd.backend, queue.port);
        }
        let mut next = self.misbehave(xen, &connection);
        if let Err(fault) = self.take_requests(xen, &mut connection) {
            if !self.config.malice.dirty_ring {
                self.fail(&fault.to_string());
            }
        } else if !self.held {
            let now = xen.now();
            let mut ready = connection.ready(now);
            while !ready.is_empty() {
                let index = ready[xen.rng().index(ready.len())];
                let job = connection.jobs.remove(index);
                self.finish(xen, &mut connection, job);
                ready = connection.ready(now);
            }
            // A job that is due already waits for one before it.
            let due = connection.jobs.iter().map(|job| job.due);
            if let Some(due) = due.filter(|due| *due > now).min() {
                next = sooner(next, Next::At(due));
            }
        }
        self.connection = Some(connection);
        next
    }

    /// Storms and scribbles, as malice has it.
    fn misbehave(&mut self, xen: &Xen, connection: &Connection) -> Next {
        let malice = &self.config.malice;
        let mut next = Next::Wait;
        if malice.scribble_events {
            for queue in &connection.queues {
                for at in [index::REQ_EVENT, index::RSP_EVENT] {
                    let word = xen.rng().next().to_le_bytes();
                    queue.ring.memory().write(at, &word[..4]);
                }
            }
            next = Next::At(xen.now().after(POLL));
        }
        if let Some(interval) = malice.storm {
            if xen.now() >= self.next_storm {
                self.next_storm = xen.now().after(interval);
                for queue in &connection.queues {
                    // The guest may have closed its end.
                    let _ = xen.evtchn_send(self.vbd.backend, queue.port);
                }
            }
            next = sooner(next, Next::At(self.next_storm));
        }
        next
    }

    fn take_requests(&mut self, xen: &Xen, connection: &mut Connection) -> Result<(), PeerFault> {
        for number in 0..connection.queues.len() {
            loop {
                let mut entry = [0; ENTRY];
                while connection.queues[number].ring.take(&mut entry)?.is_some() {
                    let job = self.begin(xen, connection, number, &entry);
                    connection.queues[number].taken += 1;
                    self.served.requests += 1;
                    connection.jobs.push(job);
                    self.served.most_pending = self.served.most_pending.max(connection.jobs.len());
                }
                if !connection.queues[number].ring.final_check()? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn begin(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        queue: usize,
        entry: &[u8; ENTRY],
    ) -> Job {
        let Some(request) = Request::decode(entry) else {
            panic!("blkback: the frontend sent a request with too many segments: {entry:?}");
        };
        if matches!(request.segments, Segments::Indirect(..)) {
            self.served.indirect += 1;
        }
        let latency = u64::try_from(self.config.latency.as_nanos()).unwrap_or(u64::MAX);
        let due = Duration::from_nanos(xen.rng().below(latency.max(1)));
        Job {
            queue,
            plan: self.plan(xen, connection, &request),
            due: xen.now().after(due),
            request,
        }
    }

    /// Checks a request and maps its pages. A frontend of ours that sends a bad one has a bug, and
    /// it is not to be hidden behind an error status.
    fn plan(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        request: &Request,
    ) -> Result<Vec<Piece>, i16> {
        let config = &self.config;
        let offered = match request.operation {
            READ | WRITE => true,
            WRITE_BARRIER => config.barrier,
            FLUSH => config.flush,
            DISCARD => config.discard && (config.secure_discard || !request.secure),
            _ => panic!("blkback: unknown operation in {request:?}"),
        };
        let indirect = matches!(request.segments, Segments::Indirect(..));
        if !offered || (indirect && self.only_says_indirect()) {
            return Err(EOPNOTSUPP);
        }
        if request.operation != READ && request.operation != FLUSH && config.read_only {
            return Err(ERROR);
        }
        let segments = self.segments(xen, connection, request);
        let config = &self.config;
        let unit = u64::from(config.sector_size / 512);
        assert!(
            request.sector.is_multiple_of(unit),
            "blkback: {request:?} does not start at a sector of {} bytes",
            config.sector_size
        );
        if request.operation == DISCARD {
            let (granularity, alignment) = config.extents();
            let start = (request.sector * 512).checked_sub(alignment);
            assert!(
                start.is_some_and(|start| start.is_multiple_of(granularity)),
                "blkback: {request:?} does not start where one may"
            );
        }
        let mut parts = Vec::new();
        let mut sectors = 0;
        for segment in segments {
            let length = segment.length().filter(|length| {
                let aligned = u64::from(segment.first).is_multiple_of(unit);
                aligned && (*length as u64 / 512).is_multiple_of(unit)
            });
            let Some(length) = length else {
                panic!("blkback: bad segment {segment:?} in {request:?}");
            };
            sectors += length as u64 / 512;
            parts.push((segment.page, usize::from(segment.first) * 512, length));
        }
        let end = request
            .sector
            .checked_add(sectors.max(request.discard_sectors));
        if end.is_none_or(|end| end > config.sectors) {
            return Err(ERROR);
        }
        let access = if request.operation == READ {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        };
        let piece = |(page, at, length)| {
            let page = self.map(xen, connection, page, access)?;
            Ok(Piece { page, at, length })
        };
        parts.into_iter().map(piece).collect()
    }

    /// Whether indirect requests are offered and not known.
    fn only_says_indirect(&self) -> bool {
        let mut keys = self.config.malice.keys.iter();
        self.config.indirect_segments.is_none()
            && keys.any(|(key, _)| key == "feature-max-indirect-segments")
    }

    /// Maps a page, or finds it mapped.
    fn map(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        entry: GrantRef,
        access: Access,
    ) -> Result<Rc<Memory>, i16> {
        if let Some(page) = connection.persistent.get(&entry.0) {
            return Ok(page.clone());
        }
        let keep = connection.persistent.len() < connection.most_persistent;
        // One that stays may be for any request.
        let access = if keep { Access::ReadWrite } else { access };
        let (own, guest) = (self.vbd.backend, self.vbd.guest);
        let page = xen.grant_map_one(own, guest, entry, access);
        let page = Rc::new(page.map_err(|_| ERROR)?);
        self.served.mapped += 1;
        if keep {
            connection.persistent.insert(entry.0, page.clone());
        }
        Ok(page)
    }

    fn segments(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        request: &Request,
    ) -> Vec<Segment> {
        let (count, pages) = match &request.segments {
            Segments::Direct(segments) => return segments.clone(),
            Segments::Indirect(count, pages) => (*count, pages),
        };
        let most = self.config.indirect_segments.unwrap_or(0) as usize;
        assert!(
            count <= most,
            "blkback: {count} segments, where {most} were offered"
        );
        let mut segments = Vec::new();
        for page in pages {
            let Ok(page) = self.map(xen, connection, *page, Access::ReadOnly) else {
                panic!("blkback: the indirect page {page} of {request:?} is not granted");
            };
            let here = (count - segments.len()).min(SEGMENTS_PER_PAGE);
            let mut bytes = vec![0; here * SEGMENT];
            page.read(0, &mut bytes);
            segments.extend(bytes.chunks(SEGMENT).map(Segment::decode));
        }
        segments
    }

    /// Keeps what a request's pages show besides the request's own bytes.
    fn spy(&mut self, request: &Request, pieces: &[Piece]) {
        for piece in pieces {
            let mut bytes = [0; hv::PAGE_SIZE];
            piece.page.read(0, &mut bytes);
            if request.operation != READ {
                bytes[piece.at..piece.at + piece.length].fill(0);
            }
            let seen = bytes.iter().filter(|byte| **byte != 0);
            self.spied.extend(seen);
        }
    }

    /// Moves the data and answers.
    fn finish(&mut self, xen: &Xen, connection: &mut Connection, job: Job) {
        let number = connection.sent + 1;
        let tamper = self.config.malice.tamper(number);
        let Job {
            queue,
            request,
            plan,
            ..
        } = job;
        let (status, pieces) = match plan {
            Ok(pieces) => {
                if self.config.malice.spy {
                    self.spy(&request, &pieces);
                }
                self.move_data(&request, &pieces, tamper);
                (OKAY, pieces)
            }
            Err(status) => {
                self.served.errors += 1;
                (status, Vec::new())
            }
        };
        if self.config.malice.keep_mapped {
            self.kept.extend(pieces.into_iter().map(|piece| piece.page));
            self.respond(xen, connection, queue, &request, (status, tamper));
            return;
        }
        // The pages are let go before the answer, as the frontend may use them again after it.
        drop(pieces);
        self.respond(xen, connection, queue, &request, (status, tamper));
    }

    fn move_data(&mut self, request: &Request, pieces: &[Piece], tamper: Option<Tamper>) {
        let served = &mut self.served;
        match request.operation {
            READ => served.reads += 1,
            WRITE => served.writes += 1,
            WRITE_BARRIER => served.barriers += 1,
            FLUSH => served.flushes += 1,
            _ => {
                served.discards += 1;
                served.secure_discards += u64::from(request.secure);
            }
        }
        let mut offset = request.sector * 512;
        let mut budget = match tamper {
            Some(Tamper::ShortData(bytes)) => bytes,
            _ => usize::MAX,
        };
        for piece in pieces {
            let mut bytes = vec![0; piece.length];
            if request.operation == READ {
                self.disk.read(offset, &mut bytes);
                let count = piece.length.min(budget);
                budget -= count;
                piece.page.write(piece.at, &bytes[..count]);
            } else {
                piece.page.read(piece.at, &mut bytes);
                self.disk.write(offset, &bytes);
            }
            offset += piece.length as u64;
        }
        if request.operation == DISCARD {
            let length = usize::try_from(request.discard_sectors * 512).expect("disks are small");
            self.disk.write(offset, &vec![0; length]);
        }
    }

    /// Answers a request, truly or as malice has it.
    fn respond(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        queue: usize,
        request: &Request,
        (status, tamper): (i16, Option<Tamper>),
    ) {
        let queue = match tamper {
            Some(Tamper::OtherQueue) => (queue + 1) % connection.queues.len(),
            _ => queue,
        };
        let Queue { ring, port, .. } = &mut connection.queues[queue];
        let mut id = request.id;
        let mut operation = request.entry_operation;
        let mut answer = status;
        connection.sent += 1;
        match tamper {
            Some(Tamper::Id(other)) => id = other,
            Some(Tamper::Operation(other)) => operation = other,
            Some(Tamper::Status(other)) => answer = other,
            Some(Tamper::Lost) => return,
            _ => {}
        }
        let mut response = encode_response(id, operation, answer);
        if let Some(Tamper::Padding(byte)) = tamper {
            response[9] = byte;
            response[12..].fill(byte);
        }
        let mut slots = vec![response];
        match tamper {
            Some(Tamper::Twice) => slots.push(response),
            Some(Tamper::Before(other)) => {
                slots.insert(0, encode_response(other, operation, answer));
            }
            _ => {}
        }
        for slot in &slots {
            if ring.push(slot).is_ok() {
                self.served.responses += 1;
            } else {
                // There is no slot for a response too many: it goes where the next would.
                let told = ring.memory().load_u32(index::RSP_PROD);
                let at = told & (ring.capacity() - 1);
                ring.memory()
                    .write(index::HEADER + at as usize * ENTRY, slot);
                ring.memory()
                    .store_u32(index::RSP_PROD, told.wrapping_add(1));
                self.served.responses += 1;
                self.notify(xen, *port);
                return;
            }
        }
        let wanted = ring.publish();
        let told = ring.memory().load_u32(index::RSP_PROD);
        let false_index = match tamper {
            Some(Tamper::ProducerAhead(by)) => Some(told.wrapping_add(by)),
            Some(Tamper::ProducerBack(by)) => Some(told.wrapping_sub(by)),
            _ => None,
        };
        if let Some(value) = false_index {
            ring.memory().store_u32(index::RSP_PROD, value);
        }
        if wanted || false_index.is_some() || self.config.malice.scribble_events {
            self.notify(xen, *port);
        }
        if self.config.malice.close_port_after == Some(connection.sent) {
            // It can be closed but once.
            let _ = xen.evtchn_close(self.vbd.backend, *port);
        }
    }

    fn notify(&self, xen: &Xen, port: Port) {
        if !self.config.malice.mute {
            // The guest may have closed its end: then nobody is there to be told.
            let _ = xen.evtchn_send(self.vbd.backend, port);
        }
    }
}
