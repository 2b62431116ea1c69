//! The tasks that only keep things going.

use alloc::rc::Rc;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use exec::{Level, Log, Notify, error, info, warn};
use futures_util::future::select;
use geom::Geom;
use geom::class::md::MdParams;
use hv::{Hypervisor, Instant, Virq};
use pv::{Channel, Pv};

use crate::alarm::Alarm;

/// Takes the timer's events, and has `alarm` know of them. The rest is done by then: the run loop
/// looks at deadlines each turn; but a port whose event nobody takes stays masked, and would not
/// end the next sleep.
pub(crate) async fn timer<H: Hypervisor>(pv: Pv<H>, vcpu: u32, alarm: Rc<Alarm>) {
    match pv.events.bind_virq(Virq::Timer, vcpu, "timer") {
        Ok(channel) => loop {
            channel.wait().await;
            alarm.came();
        },
        Err(error) => error!(pv.log, "timer", "cannot be bound: {error}"),
    }
}

/// Opens the port by which others wake vCPU `vcpu`, and takes its events: that is all there is to
/// do. `None` if there is no port left: what others ask is then seen to when something else wakes
/// it.
pub(crate) fn bell<H: Hypervisor>(pv: &Pv<H>, vcpu: u32) -> Option<Rc<Channel<H>>> {
    match pv.events.bind_ipi(vcpu, "bell") {
        Ok(channel) => {
            let channel = Rc::new(channel);
            let rung = channel.clone();
            pv.exec.spawn("bell", async move {
                loop {
                    rung.wait().await;
                }
            });
            Some(channel)
        }
        Err(error) => {
            error!(pv.log, "vcpu", "{vcpu} cannot be woken: {error}");
            None
        }
    }
}

/// Starts what every run loop has: the sweep of grants that others held on to, and GEOM's polls,
/// after each of which what comes back is notified.
pub(crate) fn spawn<H: Hypervisor>(pv: &Pv<H>, geom: &Geom) -> Rc<Notify> {
    let sweep = pv.grants.clone().reclaim(pv.exec.clone());
    pv.exec.spawn("grant sweep", sweep);
    let polled = Rc::new(Notify::new());
    let polling = poll(pv.clone(), geom.clone(), polled.clone());
    pv.exec.spawn("geom", polling);
    polled
}

/// Polls GEOM when it has work or a deadline has come, and logs what it notices. Tells
/// `polled` after each poll.
async fn poll<H: Hypervisor>(pv: Pv<H>, geom: Geom, polled: Rc<Notify>) {
    loop {
        let work = pin!(work(&geom));
        let deadline = geom.next_deadline().map(|at| Instant::default().after(at));
        if let Some(deadline) = deadline {
            let sleep = pv.exec.sleep_until(deadline);
            select(work, sleep).await;
        } else {
            work.await;
        }
        geom.poll(pv.exec.now().since_start());
        while let Some(notice) = geom.take_notice() {
            // It begins with a provider's name, and what is on a disk is its backend's to say.
            let name = notice.split(':').next().unwrap_or_default();
            pv.log
                .limited_by(name, Level::Info, "geom", format_args!("{notice}"));
        }
        polled.notify();
    }
}

/// Waits until GEOM asks for a poll.
async fn work(geom: &Geom) {
    let mut asked = false;
    poll_fn(|context| {
        if core::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        geom.set_waker(context.waker());
        Poll::Pending
    })
    .await;
}

/// Arms Xen's watchdog and feeds it as long as the run loops come round: this one, and those that
/// `others` ends for.
pub(crate) async fn watchdog<H: Hypervisor>(
    pv: Pv<H>,
    limit: Duration,
    others: impl AsyncFn() + 'static,
) {
    let mut id = 0;
    info!(
        pv.log,
        "watchdog",
        "Xen ends this domain if it stands still for {} s",
        limit.as_secs()
    );
    loop {
        // In another life of the domain there is no watchdog of that number.
        match pv
            .hv
            .watchdog(id, limit)
            .or_else(|_| pv.hv.watchdog(0, limit))
        {
            Ok(armed) => id = armed,
            Err(error) => return warn!(pv.log, "watchdog", "cannot be armed: {error}"),
        }
        pv.exec.sleep(limit / 3).await;
        others().await;
    }
}

/// Makes the memory disks that the command line asks for.
pub(crate) fn make_disks(log: &Log, geom: &Geom, mds: &[MdParams]) {
    for md in mds {
        let (label, size) = (&md.label, md.size);
        match geom.md_create(md) {
            Ok(name) => info!(log, "md", "{name}: {label}, {size} bytes"),
            Err(error) => error!(log, "md", "md={label}: {error}"),
        }
    }
}
