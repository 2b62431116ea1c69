//! The ring, served.

use super::disk::{Direction, Disk};
use super::lie::Lie;
use crate::xen::evtchn::Evtchn;
use crate::xen::gntdev::Gntdev;
use crate::xen::mapping::Mapping;
use anyhow::{Result, anyhow};
use hv::SharedMem;
use ring::BackRing;
use std::fmt;
use xen_abi::io::blkif::{
    BadRequest, OP_FLUSH_DISKCACHE, OP_READ, OP_WRITE, OP_WRITE_BARRIER, REQUEST_SIZE,
    RSP_EOPNOTSUPP, RSP_ERROR, RSP_OKAY, Request, Response, SEGMENT_SIZE,
    SEGMENTS_PER_INDIRECT_PAGE, Segment,
};
use xen_abi::io::ring::RSP_PROD;

/// What a backend offers, and so what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) flush: bool,
    pub(super) barrier: bool,
    /// The most segments of an indirect request; 0 if there is no such request.
    pub(super) indirect: u16,
    pub(super) read_only: bool,
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    requests: u64,
    indirect: u64,
    flushes: u64,
    barriers: u64,
    /// Entries of the ring that was served last.
    ring: u32,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            indirect,
            flushes,
            barriers,
            ring,
        } = self;
        write!(
            f,
            "requests={requests} indirect={indirect} flushes={flushes} barriers={barriers} \
             ring={ring}"
        )
    }
}

/// What a backend does to all that it is asked.
pub(super) struct Conduct {
    pub(super) offer: Offer,
    /// What its answers say instead of the truth.
    pub(super) lie: Option<Lie>,
    /// Of how many more requests the pages stay mapped after the answer (C09, F17).
    pub(super) keep: usize,
    pub(super) kept: Vec<Mapping>,
    pub(super) served: Served,
}

/// A ring that is mapped, and its event channel.
pub(super) struct Connection {
    domain: u32,
    ring: BackRing<Mapping>,
    pub(super) port: Evtchn,
}

impl Connection {
    pub(super) fn open(
        domain: u32,
        grants: &Gntdev,
        references: &[u32],
        port: u32,
        served: &mut Served,
    ) -> Result<Self> {
        let memory = grants.map(domain, references)?;
        let port = Evtchn::bind(domain, port)?;
        let ring = BackRing::attach(memory, REQUEST_SIZE).map_err(|fault| anyhow!("{fault}"))?;
        served.ring = ring.capacity();
        Ok(Self { domain, ring, port })
    }

    /// Answers every request there is.
    pub(super) fn serve(
        &mut self,
        grants: &Gntdev,
        disk: &Disk,
        conduct: &mut Conduct,
    ) -> Result<()> {
        let mut entry = [0; REQUEST_SIZE];
        loop {
            while self.take(&mut entry)? {
                conduct.served.requests += 1;
                let response = self.answer(&entry, grants, disk, conduct);
                let response = conduct.lie.map_or(response, |lie| lie.tell(response));
                self.ring.push(&response.encode())?;
            }
            if self.ring.publish() {
                self.port.notify()?;
            }
            if !self
                .ring
                .final_check()
                .map_err(|fault| anyhow!("{fault}"))?
            {
                return Ok(());
            }
        }
    }

    fn take(&mut self, entry: &mut [u8; REQUEST_SIZE]) -> Result<bool> {
        let taken = self.ring.take(entry).map_err(|fault| anyhow!("{fault}"))?;
        Ok(taken.is_some())
    }

    /// Claims `by` answers more than there are (C01).
    pub(super) fn jump(&self, by: u32) -> Result<()> {
        let memory = self.ring.memory();
        memory.store_u32(RSP_PROD, memory.load_u32(RSP_PROD).wrapping_add(by));
        Ok(self.port.notify()?)
    }

    /// The ring's pages, still mapped.
    pub(super) fn into_pages(self) -> Mapping {
        self.ring.into_memory()
    }

    fn answer(
        &self,
        entry: &[u8; REQUEST_SIZE],
        grants: &Gntdev,
        disk: &Disk,
        conduct: &mut Conduct,
    ) -> Response {
        let request = match Request::decode(entry) {
            Ok(request) => request,
            Err(
                BadRequest::Operation { id, operation }
                | BadRequest::Segments { id, operation, .. },
            ) => return response(id, operation, RSP_EOPNOTSUPP),
        };
        let (id, operation, sector) = match request {
            Request::Direct(direct) => (direct.id, direct.operation, direct.sector),
            Request::Indirect {
                id,
                operation,
                sector,
                ..
            } => (id, operation, sector),
            Request::Discard { id, .. } => {
                return response(id, xen_abi::io::blkif::OP_DISCARD, RSP_EOPNOTSUPP);
            }
        };
        let done = self
            .segments(&request, grants, conduct)
            .and_then(|segments| self.perform(operation, sector, &segments, grants, disk, conduct));
        let status = done.unwrap_or_else(|error| {
            eprintln!("backend: operation {operation} at sector {sector}: {error:#}");
            RSP_ERROR
        });
        response(id, operation, status)
    }

    /// The request's segments, from its own page if it is an indirect one.
    fn segments(
        &self,
        request: &Request,
        grants: &Gntdev,
        conduct: &mut Conduct,
    ) -> Result<Vec<Segment>> {
        let (count, grefs) = match request {
            Request::Direct(direct) => return Ok(direct.segments().to_vec()),
            Request::Indirect {
                segments, grefs, ..
            } => (*segments, grefs),
            Request::Discard { .. } => return Ok(Vec::new()),
        };
        conduct.served.indirect += 1;
        if count > conduct.offer.indirect {
            return Err(anyhow!("{count} indirect segments were not offered"));
        }
        let pages = usize::from(count).div_ceil(SEGMENTS_PER_INDIRECT_PAGE);
        let list = grants.map(self.domain, &grefs[..pages])?;
        let mut bytes = vec![0; usize::from(count) * SEGMENT_SIZE];
        list.read(0, &mut bytes);
        let entries = bytes.as_chunks::<SEGMENT_SIZE>().0;
        Ok(entries.iter().map(Segment::decode).collect())
    }

    fn perform(
        &self,
        operation: u8,
        sector: u64,
        segments: &[Segment],
        grants: &Gntdev,
        disk: &Disk,
        conduct: &mut Conduct,
    ) -> Result<i16> {
        let offer = conduct.offer;
        let direction = match operation {
            OP_READ => Direction::Read,
            OP_WRITE | OP_WRITE_BARRIER if offer.read_only => return Ok(RSP_ERROR),
            OP_WRITE => Direction::Write,
            OP_WRITE_BARRIER if offer.barrier => Direction::Write,
            OP_FLUSH_DISKCACHE if offer.flush => Direction::Write,
            _ => return Ok(RSP_EOPNOTSUPP),
        };
        conduct.served.flushes += u64::from(operation == OP_FLUSH_DISKCACHE);
        conduct.served.barriers += u64::from(operation == OP_WRITE_BARRIER);
        if !segments.is_empty() {
            let grefs: Vec<u32> = segments.iter().map(|segment| segment.gref).collect();
            let pages = grants.map(self.domain, &grefs)?;
            disk.transfer(direction, sector, segments, &pages)?;
            if conduct.keep > 0 {
                conduct.keep -= 1;
                conduct.kept.push(pages);
            }
        }
        if matches!(operation, OP_FLUSH_DISKCACHE | OP_WRITE_BARRIER) {
            disk.flush()?;
        }
        Ok(RSP_OKAY)
    }
}

fn response(id: u64, operation: u8, status: i16) -> Response {
    Response {
        id,
        operation,
        status,
    }
}
