//! The rings, one after the other.

use std::time::Duration;

use hv::SharedMem;
use ring::PeerFault;

use super::connection::{Connection, Queue};
use super::{Backend, sooner};
use crate::layout::ring as index;
use crate::{Next, Xen};

/// How often a backend looks at its rings that cannot count on events.
const POLL: Duration = Duration::from_millis(1);

impl Backend {
    /// Works on all rings.
    pub(super) fn serve_rings(&mut self, xen: &Xen) -> Next {
        let Some(mut connection) = self.connection.take() else {
            self.served.unwanted += self.arrived.len() as u64;
            self.arrived.clear();
            return Next::Wait;
        };
        for port in connection.queues.iter().flat_map(Queue::ports) {
            xen.take_event(self.vif.backend, port);
        }
        let mut next = self.misbehave(xen, &connection);
        self.sort_arrived(&mut connection, xen);
        for number in 0..connection.queues.len() {
            match self.serve_queue(xen, &mut connection, number) {
                Ok(then) => next = sooner(next, then),
                Err(_) if self.config.malice.dirty_ring => {}
                Err(fault) => self.disable(xen, &fault.to_string()),
            }
        }
        self.connection = Some(connection);
        next
    }

    fn serve_queue(
        &mut self,
        xen: &Xen,
        connection: &mut Connection,
        number: usize,
    ) -> Result<Next, PeerFault> {
        let taken = self.take_packets(xen, connection, number);
        let finished = self.finish_due(xen, connection, number);
        taken?;
        let delivered = self.deliver_waiting(xen, connection, number)?;
        Ok(sooner(finished, delivered))
    }

    /// Storms and scribbles, as malice has it.
    fn misbehave(&mut self, xen: &Xen, connection: &Connection) -> Next {
        let malice = &self.config.malice;
        let mut next = Next::Wait;
        if malice.scribble_events {
            for queue in &connection.queues {
                for ring in [queue.tx.memory(), queue.rx.memory()] {
                    for at in [index::REQ_EVENT, index::RSP_EVENT] {
                        let word = xen.rng().next().to_le_bytes();
                        ring.write(at, &word[..4]);
                    }
                }
            }
            next = Next::At(xen.now().after(POLL));
        }
        if let Some(interval) = malice.storm {
            if xen.now() >= self.next_storm {
                self.next_storm = xen.now().after(interval);
                for port in connection.queues.iter().flat_map(Queue::ports) {
                    // The guest may have closed its end.
                    let _ = xen.evtchn_send(self.vif.backend, port);
                }
            }
            next = sooner(next, Next::At(self.next_storm));
        }
        next
    }
}
