//! What a hostile network backend does: data that the honest one looks at in a few places.

use std::time::Duration;

use super::slot::{Extra, RxResponse};
use crate::backend::bus::Script;
use crate::layout::netif as at;

/// How the answer to one transmit entry is falsified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxTamper {
    /// Another id.
    Id(u16),
    /// Another status.
    Status(i16),
    /// The same answer a second time, in a slot of its own.
    Twice,
    /// An answer with this id before the true one, in a slot of its own.
    Before(u16),
    /// The answer on the next queue's ring.
    OtherQueue,
    /// No answer at all.
    Lost,
    /// After it, `rsp_prod` is this much ahead of the truth.
    ProducerAhead(u32),
    /// After it, `rsp_prod` is this much behind what it was.
    ProducerBack(u32),
}

/// How the entries of one packet that the guest receives are falsified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RxTamper {
    /// The first piece lies elsewhere and has another length.
    Piece {
        /// Where it is said to start.
        offset: u16,
        /// How long it is said to be, or an error.
        status: i16,
    },
    /// The last piece has another length, or an error.
    Last(i16),
    /// The last piece says that another follows.
    Endless,
    /// So many pieces, the packet in the first of them and zeros in the others.
    Pieces(usize),
    /// Cut into so many pieces, as evenly as it goes: unusual, not false.
    Cut(usize),
    /// Other bits in the first piece's flags as well.
    Flags(u16),
    /// These extras after the first piece, which says so; whether one more follows is as they say.
    Extras(Vec<Extra>),
    /// These extras after the first piece, which does not say so.
    Unannounced(Vec<Extra>),
    /// The first piece says that extras follow, and none do.
    NoExtras,
    /// The first piece has another id.
    Id(u16),
    /// The first two entries have each other's id.
    Swapped,
    /// An answer more, with an id that was not posted or was answered.
    Unposted(u16),
    /// The first piece is answered twice.
    Twice,
    /// After it, `rsp_prod` is this much ahead of the truth.
    ProducerAhead(u32),
    /// After it, `rsp_prod` is this much behind what it was.
    ProducerBack(u32),
}

impl RxTamper {
    /// How many entries it needs, of the `honest` that the packet does.
    pub(super) fn entries(&self, honest: usize) -> usize {
        match self {
            Self::Pieces(count) | Self::Cut(count) => (*count).max(1),
            Self::Extras(extras) | Self::Unannounced(extras) => honest + extras.len(),
            Self::Unposted(_) | Self::Twice => honest,
            Self::Swapped => honest.max(2),
            _ => honest,
        }
    }

    /// Falsifies the entries.
    pub(super) fn falsify(&self, entries: &mut Vec<Entry>) {
        let extra = |extra: &Extra| Entry::Extra(*extra);
        let first = entries.iter_mut().find_map(Entry::piece);
        let Some(first) = first else { return };
        match self {
            Self::Piece { offset, status } => {
                first.offset = *offset;
                first.status = *status;
            }
            Self::Flags(flags) => first.flags |= flags,
            Self::NoExtras => first.flags |= at::RX_EXTRA_INFO,
            Self::Id(id) => first.id = *id,
            Self::Extras(extras) => {
                first.flags |= at::RX_EXTRA_INFO;
                entries.splice(1..1, extras.iter().map(extra));
            }
            Self::Unannounced(extras) => {
                entries.splice(1..1, extras.iter().map(extra));
            }
            Self::Unposted(id) => {
                let id = *id;
                entries.push(Entry::Piece(RxResponse {
                    id,
                    status: 60,
                    ..RxResponse::default()
                }));
            }
            Self::Twice => {
                let again = Entry::Piece(*first);
                entries.insert(1, again);
            }
            Self::Last(_) | Self::Endless => {
                let last = entries.iter_mut().rev().find_map(Entry::piece);
                match (self, last) {
                    (Self::Last(status), Some(last)) => last.status = *status,
                    (_, Some(last)) => last.flags |= at::RX_MORE_DATA,
                    _ => {}
                }
            }
            Self::Swapped => {
                let ids: Vec<_> = entries.iter_mut().filter_map(Entry::piece).collect();
                if let [one, other, ..] = ids.into_boxed_slice().as_mut() {
                    std::mem::swap(&mut one.id, &mut other.id);
                }
            }
            _ => {}
        }
    }
}

/// An entry of the receive ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Piece(RxResponse),
    Extra(Extra),
}

impl Entry {
    fn piece(&mut self) -> Option<&mut RxResponse> {
        match self {
            Self::Piece(piece) => Some(piece),
            Self::Extra(_) => None,
        }
    }

    pub(super) fn encode(&self) -> [u8; at::RX_ENTRY] {
        match self {
            Self::Piece(piece) => piece.encode(),
            Self::Extra(extra) => extra.encode(),
        }
    }
}

/// A script of hostile acts. The default is honest.
#[derive(Clone, Debug, Default)]
pub struct Malice {
    /// Transmit answers to falsify, by their number from 1.
    pub sent: Vec<(u64, TxTamper)>,
    /// Falsify all transmit answers.
    pub all_sent: Option<TxTamper>,
    /// Packets received by the guest to falsify, by their number from 1.
    pub received: Vec<(u64, RxTamper)>,
    /// Falsify all packets that the guest receives.
    pub all_received: Option<RxTamper>,
    /// Values that stand in the backend's directory whatever the truth is; `None` means no such
    /// node.
    pub keys: Vec<(String, Option<String>)>,
    /// Go through these states instead of the handshake, one at each step.
    pub states: Vec<u32>,
    /// How long each of these states stands.
    pub state_time: Duration,
    /// After [`states`](Self::states), never write a state again.
    pub then_silent: bool,
    /// Never raise an event.
    pub mute: bool,
    /// Raise an event without work this often.
    pub storm: Option<Duration>,
    /// Write random values to the rings' event fields at each turn.
    pub scribble_events: bool,
    /// Change each answer after it has been read once.
    pub flip_after_read: bool,
    /// Fill the rings' indices with random values when connecting.
    pub dirty_ring: bool,
    /// Look through the pages of both directions for bytes that are none of the packets'.
    pub spy: bool,
    /// Never let go of a page once mapped.
    pub keep_mapped: bool,
    /// Close the event channels when so many transmit answers have been sent.
    pub close_port_after: Option<u64>,
    /// Say Connected, but never map the rings.
    pub never_map: bool,
    /// Map the rings a second time.
    pub map_twice: bool,
}

impl Malice {
    /// What of it is about xenbus.
    pub(crate) fn script(&self) -> Script<'_> {
        Script {
            keys: &self.keys,
            states: &self.states,
            state_time: self.state_time,
            then_silent: self.then_silent,
            never_map: self.never_map,
        }
    }

    /// What to do to transmit answer `number`.
    pub(super) fn tamper_sent(&self, number: u64) -> Option<TxTamper> {
        let named = self.sent.iter().find(|(n, _)| *n == number);
        named.map(|(_, tamper)| *tamper).or(self.all_sent)
    }

    /// What to do to packet `number` that the guest receives.
    pub(super) fn tamper_received(&self, number: u64) -> Option<&RxTamper> {
        let named = self.received.iter().find(|(n, _)| *n == number);
        let all = self.all_received.as_ref();
        named.map(|(_, tamper)| tamper).or(all)
    }
}
