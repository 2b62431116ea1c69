//! The receive ring: puts packets into the pages that the guest has posted, as Linux does
//! (`xenvif_rx_skb`).

use std::rc::Rc;

use hv::{Access, PAGE_SIZE, SharedMem};
use ring::PeerFault;

use super::Backend;
use super::connection::{Connection, Queue};
use super::malice::{Entry, RxTamper};
use super::packet::{Checksum, Packet};
use super::slot::{Extra, RxRequest, RxResponse};
use crate::layout::{netif, ring as index};
use crate::{Next, Xen};

impl Backend {
    /// Gives each packet that came to the queue that its flow belongs to.
    pub(super) fn sort_arrived(&mut self, connection: &mut Connection, xen: &Xen) {
        while let Some(packet) = self.arrived.pop_front() {
            if self.disabled.is_some() || !self.wants(connection, &packet) {
                self.served.unwanted += 1;
                continue;
            }
            let number = packet.flow() % connection.queues.len() as u64;
            let queue = &mut connection.queues[usize::try_from(number).expect("queues are few")];
            for packet in fit(connection.takes_gso, connection.takes_blank, packet) {
                let fits = connection.takes_sg || packet.bytes.len() <= PAGE_SIZE;
                if fits && queue.waiting.len() < self.config.rx_queue {
                    queue.waiting.push_back(packet);
                    queue.waits_since.get_or_insert(xen.now());
                } else {
                    self.served.overflowed += 1;
                }
            }
        }
    }

    /// Whether the guest wants a multicast packet (`xenvif_mcast_match`).
    fn wants(&self, connection: &Connection, packet: &Packet) -> bool {
        let to = packet.destination();
        let multicast = to[0] & 1 != 0 && to != [0xff; 6];
        !connection.multicast_control || !multicast || connection.multicast.contains(&to)
    }

    /// Delivers what there are posted pages for.
    pub(super) fn deliver_waiting(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
    ) -> Result<Next, PeerFault> {
        let mut delivered = false;
        loop {
            let queue = &mut connection.queues[number];
            if self.disabled.is_some() {
                break;
            }
            // Whether the frontend's index can be true.
            queue.rx.has_request()?;
            let Some(packet) = queue.waiting.front() else {
                queue.waits_since = None;
                break;
            };
            let tamper = self.config.malice.tamper_received(connection.delivered + 1);
            let tamper = tamper.cloned();
            let honest =
                packet.bytes.len().div_ceil(self.chunk()) + usize::from(packet.gso.is_some());
            let needed = tamper
                .as_ref()
                .map_or(honest, |tamper| tamper.entries(honest));
            let posted = queue.posted();
            if (posted as usize) < needed {
                let memory = queue.rx.memory();
                let produced = memory.load_u32(index::REQ_PROD);
                memory.store_u32(index::REQ_EVENT, produced.wrapping_add(1));
                if memory.load_u32(index::REQ_PROD) == produced {
                    break;
                }
                continue;
            }
            let Some(packet) = queue.waiting.pop_front() else {
                break;
            };
            queue.waits_since = (!queue.waiting.is_empty()).then(|| xen.now());
            connection.delivered += 1;
            if !self.deliver(xen, queue, &packet, tamper.as_ref(), needed)? {
                // What it was told of the index is false, and stays so until the next turn.
                return Ok(Next::Wait);
            }
            delivered = true;
        }
        let queue = &mut connection.queues[number];
        if delivered {
            let wanted = queue.rx.publish();
            if wanted || self.config.malice.scribble_events {
                self.notify(xen, queue.rx_port);
            }
        }
        Ok(self.drain(xen, queue))
    }

    /// Gives up what the guest has not made room for in time (`rx_drain_timeout`).
    fn drain(&mut self, xen: &Xen, queue: &mut Queue) -> Next {
        let Some(since) = queue.waits_since else {
            return Next::Wait;
        };
        let limit = since.after(self.config.drain);
        if xen.now() < limit {
            return Next::At(limit);
        }
        self.served.overflowed += queue.waiting.len() as u64;
        queue.waiting.clear();
        queue.waits_since = None;
        Next::Wait
    }

    /// The most of a packet in one page.
    fn chunk(&self) -> usize {
        self.config.rx_chunk.clamp(1, PAGE_SIZE)
    }

    /// Puts a packet into posted pages. Says whether the answers are still to be shown.
    fn deliver(
        &mut self,
        xen: &Xen,
        queue: &mut Queue,
        packet: &Packet,
        tamper: Option<&RxTamper>,
        needed: usize,
    ) -> Result<bool, PeerFault> {
        let mut requests = Vec::new();
        let mut bytes = [0; netif::RX_ENTRY];
        while requests.len() < needed && queue.rx.take(&mut bytes)?.is_some() {
            queue.rx_taken = queue.rx_taken.wrapping_add(1);
            requests.push(RxRequest::decode(&bytes));
        }
        let pieces = self.pieces(packet, tamper);
        let many = pieces.len() > 1;
        let mut entries = Vec::new();
        let mut unused = requests.iter().copied();
        for (index, piece) in pieces.iter().enumerate() {
            let Some(request) = unused.next() else { break };
            let mut response = self.fill(xen, request, piece);
            if index == 0 {
                response.flags |= match packet.checksum {
                    Checksum::Unknown => 0,
                    Checksum::Validated => netif::RX_DATA_VALIDATED,
                    Checksum::Blank => netif::RX_CSUM_BLANK | netif::RX_DATA_VALIDATED,
                };
            }
            if index + 1 != pieces.len() {
                response.flags |= netif::RX_MORE_DATA;
            }
            if let (0, Some(gso)) = (index, packet.gso) {
                response.flags |= netif::RX_EXTRA_INFO;
                entries.push(Entry::Piece(response));
                entries.push(Entry::Extra(Extra::gso(gso.size, gso.kind)));
                let _taken_by_the_extra = unused.next();
            } else {
                entries.push(Entry::Piece(response));
            }
        }
        self.served.received += 1;
        self.served.received_bytes += packet.bytes.len() as u64;
        self.served.received_gso += u64::from(packet.gso.is_some());
        self.served.received_chains += u64::from(many);
        if let Some(tamper) = tamper {
            tamper.falsify(&mut entries);
            // Entries that were taken and not needed after all are answered as empty ones.
            for request in requests.iter().skip(entries.len()) {
                entries.push(Entry::Piece(RxResponse {
                    id: request.id,
                    status: netif::ERROR,
                    ..RxResponse::default()
                }));
            }
        }
        Ok(self.push(xen, queue, &entries, tamper))
    }

    /// The packet as it is spread over pages.
    fn pieces(&self, packet: &Packet, tamper: Option<&RxTamper>) -> Vec<Vec<u8>> {
        let bytes = &packet.bytes;
        match tamper {
            Some(RxTamper::Pieces(count)) => {
                let mut pieces = vec![bytes[..bytes.len().min(PAGE_SIZE)].to_vec()];
                pieces.resize(*count, vec![0; 64]);
                pieces
            }
            Some(RxTamper::Cut(count)) => {
                let size = bytes.len().div_ceil(*count).max(1);
                bytes.chunks(size).map(<[u8]>::to_vec).collect()
            }
            _ => bytes.chunks(self.chunk()).map(<[u8]>::to_vec).collect(),
        }
    }

    /// Copies a piece into a posted page.
    fn fill(&mut self, xen: &Xen, request: RxRequest, piece: &[u8]) -> RxResponse {
        let room = PAGE_SIZE - piece.len();
        let offset = self.config.rx_offset.min(room);
        let (own, guest) = (self.vif.backend, self.vif.guest);
        let mut response = RxResponse {
            id: request.id,
            offset: u16::try_from(offset).expect("pages are short"),
            flags: 0,
            status: i16::try_from(piece.len()).expect("pages are short"),
        };
        match xen.grant_map_one(own, guest, request.page, Access::ReadWrite) {
            Ok(page) => {
                if self.config.malice.spy {
                    let mut all = [0; PAGE_SIZE];
                    page.read(0, &mut all);
                    self.spied_posted
                        .extend(all.iter().filter(|byte| **byte != 0));
                }
                page.write(offset, piece);
                if self.config.malice.keep_mapped {
                    self.kept.push(Rc::new(page));
                }
            }
            Err(_) => {
                self.served.rx_errors += 1;
                response.status = netif::ERROR;
            }
        }
        response
    }

    /// Answers the entries. Says whether that is still to be shown: not if it was, with an index
    /// that is false.
    fn push(
        &mut self,
        xen: &Xen,
        queue: &mut Queue,
        entries: &[Entry],
        tamper: Option<&RxTamper>,
    ) -> bool {
        for entry in entries {
            let bytes = entry.encode();
            if queue.rx.push(&bytes).is_err() {
                // There is no slot for an answer too many: it goes where the next would.
                let _told_below = queue.rx.publish();
                let ring = queue.rx.memory();
                let told = ring.load_u32(index::RSP_PROD);
                let at = told & (queue.rx.capacity() - 1);
                ring.write(index::HEADER + at as usize * netif::RX_ENTRY, &bytes);
                ring.store_u32(index::RSP_PROD, told.wrapping_add(1));
                self.notify(xen, queue.rx_port);
                return false;
            }
        }
        let by = match tamper {
            Some(RxTamper::ProducerAhead(by)) => *by,
            Some(RxTamper::ProducerBack(by)) => by.wrapping_neg(),
            _ => return true,
        };
        let _told_below = queue.rx.publish();
        let ring = queue.rx.memory();
        let told = ring.load_u32(index::RSP_PROD);
        ring.store_u32(index::RSP_PROD, told.wrapping_add(by));
        self.notify(xen, queue.rx_port);
        false
    }
}

/// The packet as the guest can take it: cut and with its checksum where it cannot otherwise.
fn fit(takes_gso: [bool; 2], takes_blank: [bool; 2], packet: Packet) -> Vec<Packet> {
    if packet
        .gso
        .is_some_and(|gso| !takes_gso[usize::from(gso.kind == netif::GSO_TCPV6)])
    {
        let cut = packet.on_wire().unwrap_or_default();
        let whole = |bytes: Vec<u8>| Packet {
            checksum: Checksum::Validated,
            ..Packet::new(bytes)
        };
        return cut.into_iter().map(whole).collect();
    }
    let is_v6 = packet.bytes.get(12..14) == Some(&[0x86, 0xdd]);
    if packet.checksum == Checksum::Blank && !takes_blank[usize::from(is_v6)] {
        return packet.completed().into_iter().collect();
    }
    vec![packet]
}
