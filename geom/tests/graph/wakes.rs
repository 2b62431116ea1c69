//! The bell: whoever runs the mesh is woken when there is work, and not when there is none.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use geom::{Access, Errno};

use crate::rig::{Rig, pattern};

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let bell = Arc::new(Self::default());
        (bell.clone(), Waker::from(bell))
    }

    /// How often it rang since this was last asked.
    pub(crate) fn count(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }

    /// Whether it rang since this was last asked.
    fn rang(&self) -> bool {
        self.count() > 0
    }
}

#[test]
fn the_waker_is_woken_for_every_kind_of_work_and_rests_after_a_poll() {
    let rig = Rig::new();
    let bell = Arc::new(Bell::default());
    let poll = || rig.geom.poll(rig.now.get());
    rig.geom.set_waker(&Waker::from(bell.clone()));
    assert!(!bell.rang());
    let (fake, handle) = rig.disk(0, pattern(64));
    assert!(bell.rang(), "a disk was created");
    poll();
    assert!(
        !bell.rang(),
        "a poll does all there is, and asks for no other"
    );
    let device = rig.open("xbd0", Access::READ_WRITE);
    assert!(bell.rang(), "a spoil event may be due");
    poll();
    fake.hold.set(true);
    let read = device.read(0, 512);
    assert!(!bell.rang(), "the driver has it");
    fake.finish_all();
    assert!(bell.rang(), "a completion");
    poll();
    handle.resize(32 * 512).unwrap();
    assert!(bell.rang(), "a resize");
    poll();
    drop((device, read));
    assert!(bell.rang(), "a close");
    poll();
    fake.finish_all();
    poll();
    assert!(rig.geom.is_settled());
    bell.rang();
    handle.gone();
    assert!(bell.rang(), "a loss");
    poll();
    assert_eq!(fake.gone.get(), 1);
    assert!(!bell.rang());
}

#[test]
fn a_waker_that_comes_late_is_told_what_it_missed() {
    let rig = Rig::new();
    let (_fake, _handle) = rig.disk(0, pattern(64));
    let bell = Arc::new(Bell::default());
    rig.geom.set_waker(&Waker::from(bell.clone()));
    assert!(bell.rang());
}

#[test]
fn the_maker_of_a_request_is_woken_once_it_ends() {
    let rig = Rig::new();
    let (fake, handle) = rig.settled_disk(0, pattern(64));
    let device = rig.open("xbd0", Access::READ);
    fake.hold.set(true);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut context = Context::from_waker(&waker);
    let mut read = Box::pin(device.read(0, 512));
    assert!(read.as_mut().poll(&mut context).is_pending());
    handle.gone();
    rig.settle();
    assert!(!bell.rang(), "the driver still has it");
    fake.fail_all(Errno::Io);
    assert!(!bell.rang(), "not from inside the driver's call");
    rig.settle();
    assert!(bell.rang());
    assert_eq!(
        read.as_mut().poll(&mut context),
        Poll::Ready(Err(Errno::Io))
    );
}
