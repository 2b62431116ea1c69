//! What comes from a wire, led to where it belongs.

use core::time::Duration;

use hv::Instant;
use smoltcp::phy::{RxToken, TxToken};
use smoltcp::socket::tcp;

use crate::advert;
use crate::clock::to_smoltcp;
use crate::conn::{ConnId, Owner};
use crate::devices::{Meter, MeteredToken, NoToken, OneFrame};
use crate::frame::{Kind, Tuple, asks_echo, judge};
use crate::interface::Iface;
use crate::stack::Common;
use crate::wire::Wire;

/// Packets that a turn takes from the wire.
const RECEIVED: usize = 64;
/// How long the acknowledgement of one packet waits for another, or for data that it can go with.
/// What was put together of several on its way is acknowledged at once, as several would be (RFC
/// 9293, SHLD-19).
const ACK_DELAY: Duration = Duration::from_millis(10);
/// Bytes before an IP packet, and before what a segment carries in it.
const ETHERNET: usize = 14;
const IPV4_AND_TCP: usize = 40;

/// Takes what was received; returns whether there may be more.
pub(crate) fn receive(
    iface: &mut Iface,
    common: &mut Common,
    wire: &mut impl Wire,
    now: Instant,
) -> bool {
    for _ in 0..RECEIVED {
        let Some((packet, token)) = wire.receive(to_smoltcp(now)) else {
            return false;
        };
        packet.consume(|frame| {
            Meter::new(&iface.name, &mut iface.ledger, &mut common.taps, now).received(frame);
            let heard = !iface.addressing.is_off();
            if heard && take(iface, common, frame, token, now) {
                iface.parked.keep(frame, now);
            }
        });
    }
    true
}

/// Asks again what got no answer.
pub(crate) fn answer_parked(
    iface: &mut Iface,
    common: &mut Common,
    wire: &mut impl Wire,
    now: Instant,
) {
    for (frame, until) in iface.parked.take_due(now) {
        let unanswered = match wire.transmit(to_smoltcp(now)) {
            Some(token) => take(iface, common, &frame, token, now),
            None => true,
        };
        if unanswered {
            iface.parked.put_back(frame, until, now);
        }
    }
}

/// Leads a frame to where it belongs. Returns whether it is an echo request that got no answer.
fn take(
    iface: &mut Iface,
    common: &mut Common,
    frame: &[u8],
    token: impl TxToken,
    now: Instant,
) -> bool {
    let kind = judge(frame, iface.mac, iface.smol.ip_addrs());
    let conn = match kind {
        Kind::Refused => {
            iface.ledger.traffic.refused += 1;
            return false;
        }
        Kind::Plain => None,
        Kind::Advert => {
            match advert::read(frame) {
                Some(advert) => iface.hear_router(common, &advert, now),
                None => iface.ledger.traffic.refused += 1,
            }
            return false;
        }
        Kind::Neighbor => {
            iface.conns.neighbor_seen();
            iface.parked.neighbor_seen(now);
            None
        }
        Kind::Tcp { tuple, opens } => match find(iface, common, tuple, opens, now) {
            Ok(conn) => conn,
            Err(()) => return false,
        },
    };
    if let Some(id) = conn {
        prepare(iface, common, id, frame, now);
    }
    let mut meter = Meter::new(&iface.name, &mut iface.ledger, &mut common.taps, now);
    meter.sequence = conn.map_or(meter.sequence, |id| iface.conns.sequence(id));
    let token = MeteredToken {
        token: iface.up.then_some(token),
        meter: &mut meter,
    };
    let mut device = OneFrame {
        frame: Some(frame),
        token: iface.up.then_some(token),
    };
    let sockets = match conn.and_then(|id| iface.conns.get_mut(id)) {
        Some(conn) => &mut conn.set,
        None => &mut iface.others,
    };
    let smol = &mut iface.smol;
    let _polled = smol.poll_ingress_single(to_smoltcp(now), &mut device, sockets);
    let unanswered = !meter.answered && iface.up && asks_echo(frame, iface.smol.ip_addrs());
    let sequence = meter.sequence;
    match conn {
        Some(id) => {
            iface.conns.set_sequence(id, sequence);
            iface.settle(common, id, now);
            iface.conns.activate(id);
        }
        None => iface.others_active = true,
    }
    unanswered
}

/// Prepares a connection for the segment in `frame`.
fn prepare(iface: &mut Iface, common: &mut Common, id: ConnId, frame: &[u8], now: Instant) {
    let segment = iface.mtu().saturating_sub(IPV4_AND_TCP);
    let together = frame.len() > iface.mtu() + ETHERNET;
    let mut meter = Meter::new(&iface.name, &mut iface.ledger, &mut common.taps, now);
    let Some(conn) = iface.conns.get_mut(id) else {
        return;
    };
    let delay = if together { Duration::ZERO } else { ACK_DELAY };
    conn.socket_mut().set_ack_delay(Some(delay.into()));
    let Some(mut pieces) = conn.pieces(frame, segment) else {
        return;
    };
    while let Some(frame) = pieces.next() {
        // They are answered by nothing.
        let token = MeteredToken {
            token: None::<NoToken>,
            meter: &mut meter,
        };
        let mut device = OneFrame {
            frame: Some(frame),
            token: Some(token),
        };
        let sockets = &mut conn.set;
        let _polled = iface
            .smol
            .poll_ingress_single(to_smoltcp(now), &mut device, sockets);
    }
}

/// The connection of `tuple`: the one there is, or a new one if that is asked for. `Err` if the
/// segment is to be forgotten.
fn find(
    iface: &mut Iface,
    common: &mut Common,
    tuple: Tuple,
    opens: bool,
    now: Instant,
) -> Result<Option<ConnId>, ()> {
    let known = iface.conns.find(&tuple);
    if !opens {
        return Ok(known);
    }
    if let Some(id) = known {
        let state = iface
            .conns
            .get(id)
            .map(|conn| (conn.owner, conn.socket().state()));
        let Some((Owner::Orphan { .. }, tcp::State::TimeWait | tcp::State::Closed)) = state else {
            return Ok(known);
        };
        // The peer uses the port again.
        iface.remove(common, id);
    }
    iface.admit(common, tuple, now)
}
