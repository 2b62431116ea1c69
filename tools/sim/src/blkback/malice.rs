//! What a hostile backend does: data that the honest one looks at in a few places.

use std::time::Duration;

use crate::backend::bus::Script;

/// How one response is falsified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Another id.
    Id(u64),
    /// Another operation.
    Operation(u8),
    /// Another status.
    Status(i16),
    /// The same response a second time, in a slot of its own.
    Twice,
    /// A response with this id before the true one, in a slot of its own.
    Before(u64),
    /// The response on the next queue's ring.
    OtherQueue,
    /// No response at all.
    Lost,
    /// After it, `rsp_prod` is this much ahead of the truth.
    ProducerAhead(u32),
    /// After it, `rsp_prod` is this much behind what it was.
    ProducerBack(u32),
    /// A read answers "done", but only so many bytes were written.
    ShortData(usize),
    /// The response's padding is not zero.
    Padding(u8),
}

/// A script of hostile acts. The default is honest.
#[derive(Clone, Debug, Default)]
pub struct Malice {
    /// Responses to falsify, by their number from 1.
    pub responses: Vec<(u64, Tamper)>,
    /// Falsify all responses.
    pub every_response: Option<Tamper>,
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
    /// Write random values to the ring's event fields at each turn.
    pub scribble_events: bool,
    /// Change each response after it has been read once.
    pub flip_after_read: bool,
    /// Fill the ring's indices with random values when connecting.
    pub dirty_ring: bool,
    /// Look through the pages of requests for bytes that are none of the request's.
    pub spy: bool,
    /// Never let go of a page once mapped.
    pub keep_mapped: bool,
    /// Close the event channel when so many responses have been sent.
    pub close_port_after: Option<u64>,
    /// Say Connected, but never map the ring.
    pub never_map: bool,
    /// Map the ring a second time.
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

    /// What to do to response `number`.
    pub(crate) fn tamper(&self, number: u64) -> Option<Tamper> {
        let named = self.responses.iter().find(|(n, _)| *n == number);
        named.map(|(_, tamper)| *tamper).or(self.every_response)
    }
}
