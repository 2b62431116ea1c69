//! The transmit ring: takes packets off it with the checks of Linux (`xenvif_tx_build_gops`,
//! `xenvif_count_requests`, `xenvif_get_extras`), moves them on after a while, answers.

use std::rc::Rc;
use std::time::Duration;

use hv::{Access, PAGE_SIZE, Port, SharedMem};
use ring::PeerFault;

use super::connection::{Connection, Job, Piece, Queue};
use super::malice::TxTamper;
use super::packet::{Checksum, Gso, Packet};
use super::slot::{Extra, TxRequest, tx_response};
use super::{Backend, checksum};
use crate::layout::{netif, ring as index};
use crate::{Next, Xen};

/// The most entries of a packet's data; one of more is dropped (`XEN_NETBK_LEGACY_SLOTS_MAX`).
/// Linux lets one more pass, as it does not count the first.
pub const SLOTS_MAX: usize = 18;
/// Entries of data from which on the vif is shut off (`fatal_skb_slots`).
pub const FATAL_SLOTS: usize = 20;
/// Bytes of an Ethernet header (`ETH_HLEN`).
const ETHERNET: u16 = 14;
/// The most multicast addresses of a vif (`XEN_NETBK_MCAST_MAX`).
const MULTICAST_MAX: usize = 64;

/// What became of an entry, or several, taken off the ring.
enum Taken {
    /// A packet.
    Job(Job),
    /// A multicast address was asked for, or given back: the entry's id, and the status.
    Multicast(u16, i16),
    /// Not even Linux would go on: the vif is shut off.
    Fatal(String),
}

/// The entries of one packet's data.
struct Entries {
    /// Each with its own size.
    requests: Vec<TxRequest>,
    /// The size in the first one: that of the packet.
    total: u16,
    /// Whether the pieces are not larger together than the packet.
    fit: bool,
    extras: usize,
    gso: Option<Gso>,
}

impl Entries {
    /// What is wrong with a packet that is dropped.
    fn drop_reason(&self) -> Option<String> {
        if self.requests.len() > SLOTS_MAX {
            return Some(format!("too many slots: {}", self.requests.len()));
        }
        if !self.fit {
            let total = self.total;
            return Some(format!("the pieces are larger than the packet of {total}"));
        }
        let first = self.requests.first()?;
        (first.size < ETHERNET).then(|| format!("a first piece of {} bytes", first.size))
    }
}

impl Backend {
    /// Takes all packets there are.
    pub(super) fn take_packets(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
    ) -> Result<(), PeerFault> {
        loop {
            while self.disabled.is_none() {
                let Some(taken) = self.take_packet(xen, connection, number)? else {
                    break;
                };
                match taken {
                    Taken::Job(job) => {
                        let queue = &mut connection.queues[number];
                        queue.jobs.push_back(job);
                        let pending = queue.jobs.len();
                        self.served.most_pending = self.served.most_pending.max(pending);
                    }
                    Taken::Multicast(id, status) => {
                        if self.answer(xen, connection, number, (id, status, 1)) {
                            self.show(xen, connection, number, false);
                        }
                    }
                    Taken::Fatal(why) => self.disable(xen, &why),
                }
            }
            if self.disabled.is_some() || !connection.queues[number].tx.final_check()? {
                return Ok(());
            }
        }
    }

    fn take_entry(queue: &mut Queue) -> Result<Option<[u8; netif::TX_ENTRY]>, PeerFault> {
        let mut entry = [0; netif::TX_ENTRY];
        let taken = queue.tx.take(&mut entry)?;
        Ok(taken.map(|()| entry))
    }

    fn take_packet(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
    ) -> Result<Option<Taken>, PeerFault> {
        let queue = &mut connection.queues[number];
        let Some(entry) = Self::take_entry(queue)? else {
            return Ok(None);
        };
        self.served.entries += 1;
        let first = TxRequest::decode(&entry);
        let mut extras = Vec::new();
        let mut more = first.flags & netif::TX_EXTRA_INFO != 0;
        while more {
            let Some(entry) = Self::take_entry(queue)? else {
                return Ok(Some(Taken::Fatal("missing extra info".into())));
            };
            self.served.entries += 1;
            let extra = Extra::decode(&entry);
            if extra.kind == 0 || extra.kind >= netif::EXTRA_END {
                let why = format!("invalid extra type {}", extra.kind);
                return Ok(Some(Taken::Fatal(why)));
            }
            more = extra.has_more();
            extras.push(extra);
        }
        // As in Linux, the last of each kind counts.
        let last = |kind| extras.iter().rev().find(|extra| extra.kind == kind);
        for kind in [netif::EXTRA_MCAST_ADD, netif::EXTRA_MCAST_DEL] {
            if let Some(extra) = last(kind) {
                let wanted = kind == netif::EXTRA_MCAST_ADD;
                let status = Self::change_multicast(connection, wanted, extra.body);
                return Ok(Some(Taken::Multicast(first.id, status)));
            }
        }
        let mut entries = Entries {
            requests: vec![first],
            total: first.size,
            fit: true,
            extras: extras.len(),
            gso: None,
        };
        if let Err(why) = self.take_pieces(queue, &mut entries)? {
            return Ok(Some(Taken::Fatal(why)));
        }
        let (offset, size) = (first.offset, entries.requests[0].size);
        let dropped = entries.drop_reason().is_some();
        if !dropped && usize::from(offset) + usize::from(size) > PAGE_SIZE {
            let why = format!("cross page boundary, offset: {offset}, size: {size}");
            return Ok(Some(Taken::Fatal(why)));
        }
        entries.gso = match last(netif::EXTRA_GSO).map(Extra::segments) {
            None => None,
            Some((0, _)) => return Ok(Some(Taken::Fatal("GSO size must not be zero".into()))),
            Some((size, kind @ (netif::GSO_TCPV4 | netif::GSO_TCPV6))) => Some(Gso { size, kind }),
            Some((_, kind)) => return Ok(Some(Taken::Fatal(format!("bad GSO type {kind}")))),
        };
        let job = self.begin(xen, connection, number, entries);
        Ok(Some(Taken::Job(job)))
    }

    /// The entries after the first one and its extras; why the vif is to be shut off.
    fn take_pieces(
        &mut self,
        queue: &mut Queue,
        entries: &mut Entries,
    ) -> Result<Result<(), String>, PeerFault> {
        let mut more = entries.requests[0].has_more();
        while more {
            let count = entries.requests.len();
            if count + 1 >= FATAL_SLOTS {
                return Ok(Err(format!("malicious frontend using {FATAL_SLOTS} slots")));
            }
            let Some(entry) = Self::take_entry(queue)? else {
                return Ok(Err(format!("asked for more than the {count} slots there")));
            };
            self.served.entries += 1;
            let piece = TxRequest::decode(&entry);
            let first = &mut entries.requests[0];
            match first.size.checked_sub(piece.size) {
                Some(left) if entries.fit => first.size = left,
                _ => entries.fit = false,
            }
            if usize::from(piece.offset) + usize::from(piece.size) > PAGE_SIZE {
                let (offset, size) = (piece.offset, piece.size);
                return Ok(Err(format!(
                    "cross page boundary, txp->offset: {offset}, size: {size}"
                )));
            }
            more = piece.has_more();
            entries.requests.push(piece);
        }
        Ok(Ok(()))
    }

    fn change_multicast(connection: &mut Connection, wanted: bool, address: [u8; 6]) -> i16 {
        let list = &mut connection.multicast;
        list.retain(|known| *known != address);
        if wanted && list.len() >= MULTICAST_MAX {
            return netif::ERROR;
        }
        if wanted {
            list.push(address);
        }
        netif::OKAY
    }

    /// Maps a packet's pages.
    fn begin(
        &mut self,
        xen: &Xen,
        connection: &Connection,
        number: usize,
        entries: Entries,
    ) -> Job {
        let latency = u64::try_from(self.config.latency.as_nanos()).unwrap_or(u64::MAX);
        let due = xen
            .now()
            .after(Duration::from_nanos(xen.rng().below(latency.max(1))));
        // Packets of a queue stay in order.
        let before = connection.queues[number].jobs.back().map(|job| job.due);
        let flags = entries.requests.first().map_or(0, |first| first.flags);
        let mut job = Job {
            due: before.map_or(due, |before| before.max(due)),
            pieces: Vec::new(),
            extras: entries.extras,
            gso: entries.gso,
            flags,
            refused: None,
        };
        if let Some(why) = entries.drop_reason() {
            self.complain(xen, &format!("dropped a packet: {why}"));
            job.refused = Some(netif::ERROR);
        }
        let (own, guest) = (self.vif.backend, self.vif.guest);
        for request in entries.requests {
            let mut page = None;
            if job.refused != Some(netif::ERROR) {
                let asked = xen.grant_map_one(own, guest, request.page, Access::ReadOnly);
                match asked {
                    Ok(memory) => page = Some(Rc::new(memory)),
                    Err(_) => job.refused = Some(netif::ERROR),
                }
            }
            job.pieces.push(Piece { request, page });
        }
        job
    }

    /// Moves on the packets that are due, and answers them.
    pub(super) fn finish_due(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
    ) -> Next {
        let now = xen.now();
        let mut answers: Vec<Vec<(u16, i16, usize)>> = Vec::new();
        let mut pages = Vec::new();
        while let Some(job) = connection.queues[number].jobs.pop_front() {
            if job.due > now {
                connection.queues[number].jobs.push_front(job);
                break;
            }
            let status = self.move_on(xen, &job);
            for (index, piece) in job.pieces.into_iter().enumerate() {
                let extras = if index == 0 { job.extras } else { 0 };
                answers.push(vec![(piece.request.id, status, extras)]);
                pages.extend(piece.page);
            }
        }
        if self.config.malice.keep_mapped {
            self.kept.extend(pages);
        } else {
            // The pages are let go before the answers: the frontend may use them again after those.
            drop(pages);
        }
        let mut shown = !answers.is_empty();
        let mut answers: Vec<_> = answers.into_iter().flatten().collect();
        while !answers.is_empty() {
            let at = match self.config.shuffle {
                true => xen.rng().index(answers.len()),
                false => 0,
            };
            let answer = answers.remove(at);
            shown &= self.answer(xen, connection, number, answer);
        }
        if shown {
            self.show(xen, connection, number, false);
        }
        let next = connection.queues[number].jobs.front();
        next.map_or(Next::Wait, |job| Next::At(job.due))
    }

    /// The packet goes on its way; the status to answer.
    fn move_on(&mut self, xen: &Xen, job: &Job) -> i16 {
        if let Some(status) = job.refused {
            self.served.tx_errors += 1;
            return status;
        }
        let mut packet = Packet::default();
        for piece in &job.pieces {
            let Some(page) = &piece.page else { continue };
            let at = usize::from(piece.request.offset);
            let mut bytes = vec![0; usize::from(piece.request.size)];
            page.read(at, &mut bytes);
            if self.config.malice.spy {
                let mut all = [0; PAGE_SIZE];
                page.read(0, &mut all);
                all[at..at + bytes.len()].fill(0);
                self.spied.extend(all.iter().filter(|byte| **byte != 0));
            }
            packet.bytes.extend(bytes);
        }
        packet.gso = job.gso;
        if job.flags & netif::TX_CSUM_BLANK != 0 {
            packet.checksum = Checksum::Blank;
        } else if job.flags & netif::TX_DATA_VALIDATED != 0 {
            packet.checksum = Checksum::Validated;
        }
        self.served.sent += 1;
        self.served.sent_bytes += packet.bytes.len() as u64;
        self.served.sent_blank += u64::from(packet.checksum == Checksum::Blank);
        self.served.sent_gso += u64::from(packet.gso.is_some());
        self.served.sent_chains += u64::from(job.pieces.len() > 1);
        if let Err(why) = self.examine(&packet) {
            self.served.tx_errors += 1;
            self.complain(xen, &format!("sent {why}"));
        } else {
            self.sent.push_back(packet);
            if let Some(listener) = self.listener {
                xen.wake(listener);
            }
        }
        netif::OKAY
    }

    /// What Linux's stack would not take, or would make wrong packets of.
    fn examine(&self, packet: &Packet) -> Result<(), String> {
        let config = &self.config;
        let bytes = &packet.bytes;
        checksum::check_header(bytes)?;
        let is_v6 = |place: &checksum::Transport| usize::from(place.is_v6);
        let most = 14 + usize::from(self.mtu);
        match packet.gso {
            Some(gso) => {
                let kind = usize::from(gso.kind == netif::GSO_TCPV6);
                if ![config.gso_tcpv4, config.gso_tcpv6][kind] {
                    return Err(format!("{gso:?}, which was not offered"));
                }
                if packet.checksum != Checksum::Blank {
                    return Err("a packet to be cut without a blank checksum".into());
                }
                let place = checksum::transport(bytes)?;
                if place.protocol != 6 || is_v6(&place) != kind {
                    return Err(format!("{gso:?}, and is no such packet"));
                }
            }
            None if bytes.len() > most => {
                return Err(format!("{} bytes, more than {most}", bytes.len()));
            }
            None => {}
        }
        if packet.checksum == Checksum::Blank {
            let place = checksum::blank_at(bytes)?;
            if ![!config.no_csum, config.ipv6_csum][is_v6(&place)] {
                return Err("a blank checksum, which was not offered".into());
            }
            return Ok(());
        }
        checksum::check(bytes)
    }

    /// Answers an entry and the `extras` after it, truly or as malice has it. Says whether the
    /// answers are still to be shown: not if that was done, with an index that is false.
    fn answer(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
        (mut id, mut status, extras): (u16, i16, usize),
    ) -> bool {
        connection.answered += 1;
        let tamper = self.config.malice.tamper_sent(connection.answered);
        let mut slots = Vec::new();
        let mut number = number;
        match tamper {
            Some(TxTamper::Id(other)) => id = other,
            Some(TxTamper::Status(other)) => status = other,
            Some(TxTamper::OtherQueue) => number = (number + 1) % connection.queues.len(),
            Some(TxTamper::Before(other)) => slots.push(tx_response(other, status)),
            _ => {}
        }
        if tamper != Some(TxTamper::Lost) {
            slots.push(tx_response(id, status));
        }
        if tamper == Some(TxTamper::Twice) {
            slots.push(tx_response(id, status));
        }
        for _ in 0..extras {
            // Linux leaves the id of such an answer as it was in the ring: it means nothing.
            let id = xen.rng().next().to_le_bytes();
            slots.push(tx_response(u16::from_le_bytes([id[0], id[1]]), netif::NULL));
        }
        for slot in &slots {
            let queue = &mut connection.queues[number];
            self.served.answers += 1;
            if queue.tx.push(slot).is_err() {
                // There is no slot for an answer too many: it goes where the next would.
                let _told_below = queue.tx.publish();
                let ring = queue.tx.memory();
                let told = ring.load_u32(index::RSP_PROD);
                let at = told & (queue.tx.capacity() - 1);
                ring.write(index::HEADER + at as usize * netif::TX_ENTRY, slot);
                ring.store_u32(index::RSP_PROD, told.wrapping_add(1));
                self.notify(xen, queue.tx_port);
                return false;
            }
        }
        let false_index = match tamper {
            Some(TxTamper::ProducerAhead(by)) => Some(by),
            Some(TxTamper::ProducerBack(by)) => Some(by.wrapping_neg()),
            _ => None,
        };
        if let Some(by) = false_index {
            self.show(xen, connection, number, true);
            let ring = connection.queues[number].tx.memory();
            let told = ring.load_u32(index::RSP_PROD);
            ring.store_u32(index::RSP_PROD, told.wrapping_add(by));
        }
        if tamper == Some(TxTamper::OtherQueue) {
            self.show(xen, connection, number, true);
        }
        if self.config.malice.close_port_after == Some(connection.answered) {
            for port in connection.queues[number].ports() {
                // It can be closed but once.
                let _ = xen.evtchn_close(self.vif.backend, port);
            }
        }
        false_index.is_none()
    }

    /// Shows the frontend the answers, and tells it if it wants to know, or must.
    fn show(&mut self, xen: &Xen, connection: &mut Connection, number: usize, must: bool) {
        let queue = &mut connection.queues[number];
        let wanted = queue.tx.publish();
        let port: Port = queue.tx_port;
        if wanted || must || self.config.malice.scribble_events {
            self.notify(xen, port);
        }
    }
}
