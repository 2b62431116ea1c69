//! Moving packets between an interface and its wire.

use alloc::rc::Rc;
use core::future::{pending, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use exec::{Executor, Notify};
use futures_util::future::select;
use hv::Instant;
use smoltcp::iface::{PollResult, SocketSet};
use smoltcp::phy::TxToken;

use crate::clock::{from_smoltcp, to_smoltcp};
use crate::conn::{ConnId, Owner};
use crate::devices::{Meter, MeteredToken, Outlet};
use crate::intake::{answer_parked, receive};
use crate::interface::Iface;
use crate::stack::{Common, Shared, Stack};
use crate::wire::Wire;

/// Packets that a turn sends, and bytes.
const SENT: usize = 64;
const SENT_BYTES: u64 = 1 << 20;
/// Connections that a turn looks at, whether they have something to send or not.
const LOOKED_AT: usize = 512;
/// How long a wire may have no room. What is sent on it then is lost until it has some, so that
/// time goes on for whoever sends: connections end, and leave their places to those of other
/// interfaces.
const STALLED: Duration = Duration::from_secs(5);
/// When the wire is told again of groups that it had no room to ask for.
const GROUPS: Duration = Duration::from_millis(100);
/// How soon the stack may ask to be polled again where a poll had nothing to do.
const REST: Duration = Duration::from_millis(10);

/// What is left to do after a turn.
enum After {
    /// Another one.
    Turn,
    /// One at this time, if nothing comes before.
    Wait(Option<Instant>),
    /// Nothing: the interface is no more.
    End,
}

/// Moves packets between the interface `id` and `wire` until the interface has another one or is
/// no more. Only this is compiled for each kind of wire.
///
/// Of a wire that is gone nothing comes, and what is sent on it is lost; but for whoever waits for
/// something, time goes on.
pub(crate) async fn run(shared: Rc<Shared>, id: u32, work: Rc<Notify>, mut wire: impl Wire) {
    let exec = shared.exec.clone();
    loop {
        let after = turn(
            &mut shared.stack.borrow_mut(),
            (id, &work),
            &mut wire,
            exec.now(),
        );
        let until = match after {
            After::End => return,
            After::Turn => {
                next_turn(&exec).await;
                continue;
            }
            After::Wait(until) => until,
        };
        let changed = pin!(async {
            if wire.is_gone() {
                pending::<()>().await;
            }
            wire.changed().await;
        });
        let told = pin!(work.notified());
        let woken = select(changed, told);
        match until {
            Some(until) => {
                select(woken, exec.sleep_until(until)).await;
            }
            None => {
                woken.await;
            }
        }
    }
}

/// Lets events and deadlines be looked at.
async fn next_turn(exec: &Executor) {
    let mut waited = false;
    poll_fn(|context| {
        if core::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        exec.wake_next_turn(context.waker());
        Poll::Pending
    })
    .await;
}

fn turn(
    stack: &mut Stack,
    (id, work): (u32, &Rc<Notify>),
    wire: &mut impl Wire,
    now: Instant,
) -> After {
    let Some((iface, common)) = stack.parts(id) else {
        return After::End;
    };
    if !Rc::ptr_eq(&iface.work, work) {
        return After::End;
    }
    iface.up = wire.carrier() && !wire.is_gone();
    if iface.full_since.is_some() && wire.transmit(to_smoltcp(now)).is_some() {
        iface.full_since = None;
    }
    iface.admitted = 0;
    iface.conns.fire(now);
    iface.others_active |= iface.others_due.is_some_and(|due| due <= now);
    iface.maintain(now);
    iface.groups_due = iface.groups_due && !wire.set_groups(&iface.groups());
    let more = receive(iface, common, wire, now);
    answer_parked(iface, common, wire, now);
    ask_routers(iface, common, wire, now);
    let sent = send(iface, common, wire, now);
    if sent.exhausted {
        iface.full_since.get_or_insert(now);
    }
    let busy = iface.others_active || iface.conns.has_active();
    if more || busy && !sent.exhausted {
        return After::Turn;
    }
    let routers = iface.addressing.auto.next(iface.up);
    let routers = routers.filter(|_| !iface.addressing.is_off());
    let parked = iface.parked.next();
    let stalled = iface.full_since.filter(|_| sent.exhausted);
    let stalled = stalled.map(|since| since.after(STALLED));
    let groups = (iface.groups_due && iface.up).then(|| now.after(GROUPS));
    let due = [
        groups,
        iface.others_due,
        iface.conns.next_due(),
        routers,
        parked,
        stalled,
    ];
    let due = due.into_iter().flatten().min();
    After::Wait(due.map(|due| due.max(now.after(REST))))
}

/// Asks for an IPv6 router, if it is time for it.
fn ask_routers(iface: &mut Iface, common: &mut Common, wire: &mut impl Wire, now: Instant) {
    if iface.addressing.is_off() || !iface.up {
        return;
    }
    let Some(question) = iface.addressing.auto.question(now) else {
        return;
    };
    if let Some(token) = wire.transmit(to_smoltcp(now)) {
        let mut meter = Meter::new(&iface.name, &mut iface.ledger, &mut common.taps, now);
        let token = MeteredToken {
            token: Some(token),
            meter: &mut meter,
        };
        token.consume(question.len(), |frame| frame.copy_from_slice(&question));
    }
}

/// What sending came to.
#[derive(Default)]
struct Sent {
    /// The wire has no room.
    exhausted: bool,
}

/// What one poll of sockets came to.
struct Polled {
    sent: bool,
    asked: bool,
    exhausted: bool,
}

fn poll(
    iface: &mut Iface,
    common: &mut Common,
    wire: &mut impl Wire,
    conn: Option<ConnId>,
    now: Instant,
) -> Polled {
    let mut meter = Meter::new(&iface.name, &mut iface.ledger, &mut common.taps, now);
    meter.sequence = conn.map_or(meter.sequence, |id| iface.conns.sequence(id));
    let mut outlet = Outlet {
        device: wire,
        meter: &mut meter,
        down: !iface.up
            || iface
                .full_since
                .is_some_and(|since| since.after(STALLED) <= now),
        asked: false,
        exhausted: false,
    };
    // While fragments are left of a packet, no socket may send another: it would take their place.
    let mut nobody = SocketSet::new(alloc::vec![]);
    let left = conn.is_none() && iface.smol.poll_at(to_smoltcp(now), &nobody).is_some();
    let sockets = match conn.and_then(|id| iface.conns.get_mut(id)) {
        Some(conn) => &mut conn.set,
        None if left => &mut nobody,
        None => &mut iface.others,
    };
    let polled = iface
        .smol
        .poll_egress(to_smoltcp(now), &mut outlet, sockets);
    let (asked, exhausted) = (outlet.asked, outlet.exhausted);
    if let Some(id) = conn {
        iface.conns.set_sequence(id, meter.sequence);
    }
    Polled {
        sent: left || polled == PollResult::SocketStateChanged,
        asked,
        exhausted,
    }
}

/// Sends what there is to send, a packet for each connection in turn.
fn send(iface: &mut Iface, common: &mut Common, wire: &mut impl Wire, now: Instant) -> Sent {
    let begun = iface.ledger.traffic.sent_bytes;
    let mut sent = 0;
    for _ in 0..LOOKED_AT {
        if sent >= SENT {
            break;
        }
        if iface.ledger.traffic.sent_bytes - begun >= SENT_BYTES {
            break;
        }
        if core::mem::take(&mut iface.others_active) {
            let polled = poll(iface, common, wire, None, now);
            iface.settle_others(common, now);
            iface.others_active |= polled.sent;
            sent += usize::from(polled.sent);
            if polled.exhausted {
                iface.others_active = true;
                return Sent { exhausted: true };
            }
        }
        let Some(id) = iface.conns.next_active() else {
            if iface.others_active {
                continue;
            }
            break;
        };
        let polled = poll(iface, common, wire, Some(id), now);
        if polled.exhausted {
            iface.conns.put_back(id);
            return Sent { exhausted: true };
        }
        iface.settle(common, id, now);
        if polled.sent {
            sent += 1;
            iface.conns.has_sent(id);
            iface.conns.activate(id);
            continue;
        }
        if polled.asked {
            iface.conns.wait_for_neighbor(id);
        }
        rest(iface, id, now);
    }
    // Fragments that are left of a packet; nothing else is anybody's but a socket's.
    let nobody = SocketSet::new(alloc::vec![]);
    iface.others_active |= iface.smol.poll_at(to_smoltcp(now), &nobody).is_some();
    Sent::default()
}

/// Sets when a connection that has nothing to send will have.
fn rest(iface: &mut Iface, id: ConnId, now: Instant) {
    let Some(conn) = iface.conns.get_mut(id) else {
        return;
    };
    let at = iface.smol.poll_at(to_smoltcp(now), &conn.set);
    let mut due = at.map(from_smoltcp).map(|due| due.max(now.after(REST)));
    if let Owner::Orphan { end, .. } = conn.owner {
        due = Some(due.map_or(end, |due| due.min(end)));
    }
    iface.conns.set_due(id, due);
}
