//! The domain behind the page.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::future::Future;
use core::pin::Pin;
use core::time::Duration;

use exec::info;
use hv::{Hypervisor, ShutdownReason};
use shell::command::Parts;
use shell::output::Output;

use crate::snapshot::{Facts, Inside, Running};

/// How long the answer to the command that ends the domain has to get out, and the last of the log.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The domain's own parts.
pub struct Domain<H: Hypervisor>(pub Parts<H>);

impl<H: Hypervisor> Inside for Domain<H> {
    fn facts(&self) -> Facts {
        let pv = &self.0.pv;
        Facts {
            now: pv.hv.now(),
            wall: pv.hv.wall_clock(),
            memory: pv.hv.memory_use(),
            grants: pv.grants.usage(),
            ports: pv.events.ports(),
            exports: self.0.blkback.exports(),
        }
    }

    fn heap_room(&self) -> usize {
        self.0.pv.hv.heap_room()
    }

    fn exports(&self) -> usize {
        self.0.blkback.exports().len()
    }

    fn run(self: Rc<Self>, line: String, out: Output) -> Running {
        Box::pin(async move { self.0.run(&line, &out).await })
    }

    fn end(self: Rc<Self>, reason: ShutdownReason) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let Parts { pv, blkback, .. } = &self.0;
            info!(pv.log, "page", "a client asks for the end: {reason:?}");
            // As at the console: dying as of a fault is what a crash that is asked for is to show.
            if reason != ShutdownReason::Crash {
                blkback.close().await;
            }
            pv.exec.sleep(LAST_WORDS).await;
            pv.hv.shutdown(reason);
        })
    }
}
