//! A ring and its event channel, as the frontend has them. Nothing here keeps the frontend from
//! lying; what the backend says is looked at as distrustfully as anywhere.

use super::slot::{Abi, Answer};
use crate::xen::evtchn::Evtchn;
use crate::xen::gntalloc::{Gntalloc, Granted};
use crate::xen::mapping::Mapping;
use anyhow::{Context, Result, bail};
use hv::SharedMem;
use ring::index::{ahead, must_notify};
use std::sync::atomic::{Ordering, fence};
use xen_abi::io::ring::{ENTRIES, REQ_EVENT, REQ_PROD, RSP_EVENT, RSP_PROD, entries};

pub(super) struct Queue {
    number: usize,
    abi: Abi,
    granted: Option<Granted>,
    port: Option<Evtchn>,
    /// What is published of both, also when they are not there any more.
    references: Vec<u32>,
    port_number: u32,
    capacity: u32,
    /// One past the last entry pushed.
    req_prod: u32,
    /// What of it the backend was told.
    published: u32,
    rsp_cons: u32,
    /// What was pushed last, entry by entry.
    pushed: Vec<Vec<u8>>,
}

impl Queue {
    /// A ring of `pages` pages and a port for `domain`.
    pub(super) fn new(
        number: usize,
        domain: u32,
        pages: u32,
        abi: Abi,
        gntalloc: &Gntalloc,
    ) -> Result<Self> {
        let granted = gntalloc.grant(domain, pages, true);
        let granted = granted.context("gntalloc gives no ring")?;
        let port = Evtchn::unbound(domain).context("no event channel")?;
        let mut queue = Self {
            number,
            abi,
            references: granted.references.clone(),
            port_number: port.port(),
            capacity: entries(granted.memory.len(), abi.entry_size()),
            granted: Some(granted),
            port: Some(port),
            req_prod: 0,
            published: 0,
            rsp_cons: 0,
            pushed: Vec::new(),
        };
        queue.reset();
        Ok(queue)
    }

    /// Its references and its port's number.
    pub(super) fn place(&self) -> (Vec<u32>, u32) {
        (self.references.clone(), self.port_number)
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Its memory, until it was revoked.
    pub(super) fn memory(&self) -> Result<&Mapping> {
        let granted = self.granted.as_ref();
        Ok(&granted.context("the ring was revoked")?.memory)
    }

    /// Its port, until that was closed.
    pub(super) fn port(&self) -> Option<&Evtchn> {
        self.port.as_ref()
    }

    /// Makes it an empty ring, if it is still there.
    pub(super) fn reset(&mut self) {
        (self.req_prod, self.published, self.rsp_cons) = (0, 0, 0);
        self.pushed = vec![vec![0; self.abi.entry_size()]; self.capacity as usize];
        if let Some(granted) = &self.granted {
            let memory = &granted.memory;
            memory.fill(0, memory.len(), 0);
            memory.store_u32(REQ_EVENT, 1);
            memory.store_u32(RSP_EVENT, 1);
        }
    }

    /// Ends the ring's grant, whoever uses it.
    pub(super) fn revoke(&mut self) {
        self.granted = None;
    }

    /// Closes the port.
    pub(super) fn unbind(&mut self) {
        self.port = None;
    }

    /// Requests pushed whose responses were not taken.
    pub(super) fn outstanding(&self) -> u32 {
        self.req_prod.wrapping_sub(self.rsp_cons)
    }

    /// Whether a request can be pushed honestly.
    pub(super) fn has_room(&self) -> bool {
        self.outstanding() < self.capacity
    }

    /// Writes an entry.
    pub(super) fn push(&mut self, entry: &[u8], force: bool) -> Result<()> {
        if entry.len() > self.abi.entry_size() {
            bail!("{} bytes are more than an entry has", entry.len());
        }
        if !force && !self.has_room() {
            bail!("the ring is full");
        }
        let mut whole = entry.to_vec();
        whole.resize(self.abi.entry_size(), 0);
        let slot = self.slot(self.req_prod);
        self.memory()?.write(self.offset(slot), &whole);
        self.pushed[slot] = whole;
        self.req_prod = self.req_prod.wrapping_add(1);
        Ok(())
    }

    /// Shows the backend all that was pushed; sends it an event if it wants one.
    pub(super) fn submit(&mut self) -> Result<()> {
        let memory = self.memory()?;
        memory.store_u32(REQ_PROD, self.req_prod);
        fence(Ordering::SeqCst);
        let event = memory.load_u32(REQ_EVENT);
        if must_notify(self.published, self.req_prod, event) {
            self.notify()?;
        }
        self.published = self.req_prod;
        Ok(())
    }

    /// Claims that this is what was pushed (C01, C02).
    pub(super) fn produce(&self, index: u32) -> Result<()> {
        self.memory()?.store_u32(REQ_PROD, index);
        self.notify()
    }

    /// Claims `by` requests more, or less, than it has.
    pub(super) fn jump(&self, by: i64) -> Result<u32> {
        // Indices wrap at 2^32.
        let by = by.rem_euclid(1 << 32);
        let index = self.req_prod.wrapping_add(u32::try_from(by)?);
        self.produce(index)?;
        Ok(index)
    }

    pub(super) fn notify(&self) -> Result<()> {
        let port = self.port.as_ref().context("the port was closed")?;
        Ok(port.notify()?)
    }

    /// Takes a response, if there is one.
    pub(super) fn take(&mut self) -> Result<Option<Answer>> {
        if self.responses()? == 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; self.abi.response_size()];
        let slot = self.slot(self.rsp_cons);
        self.memory()?.read(self.offset(slot), &mut bytes);
        self.rsp_cons = self.rsp_cons.wrapping_add(1);
        let answer = Answer::decode(self.number, &bytes, &self.pushed[slot]);
        Ok(Some(answer))
    }

    /// How many responses there are.
    pub(super) fn responses(&self) -> Result<u32> {
        let theirs = self.memory()?.load_u32(RSP_PROD);
        ahead("rsp_prod", theirs, self.rsp_cons, self.capacity)
            .map_err(|fault| anyhow::anyhow!("{fault}"))
    }

    /// Asks for an event with the next response; says whether there is one already.
    pub(super) fn arm(&self) -> Result<bool> {
        let next = self.rsp_cons.wrapping_add(1);
        self.memory()?.store_u32(RSP_EVENT, next);
        fence(Ordering::SeqCst);
        Ok(self.responses()? > 0)
    }

    /// Takes the event that has come.
    pub(super) fn take_event(&mut self) -> Result<()> {
        let port = self.port.as_mut().context("the port was closed")?;
        Ok(port.take()?)
    }

    /// Where all indices are.
    pub(super) fn indices(&self) -> Result<String> {
        let memory = self.memory()?;
        let [req_prod, req_event, rsp_prod, rsp_event] =
            [REQ_PROD, REQ_EVENT, RSP_PROD, RSP_EVENT].map(|at| memory.load_u32(at));
        Ok(format!(
            "req_prod={req_prod} req_event={req_event} rsp_prod={rsp_prod} rsp_event={rsp_event} \
             pushed={} taken={} entries={}",
            self.req_prod, self.rsp_cons, self.capacity
        ))
    }

    /// Which entry an index means.
    fn slot(&self, index: u32) -> usize {
        (index & (self.capacity - 1)) as usize
    }

    /// Where that is.
    fn offset(&self, slot: usize) -> usize {
        ENTRIES + slot * self.abi.entry_size()
    }
}
