//! One client to its end.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::pin::pin;
use core::time::Duration;

use embedded_io_async::{Read, Write};
use exec::Executor;
use futures_util::{FutureExt, select_biased};
use geom::Geom;

use crate::budget::{Limits, Pool, Share};
use crate::connection::Connection;
use crate::export::{Export, Served};
use crate::failure::Fault;
use crate::handshake::Handshake;
use crate::intake::Intake;
use crate::memory::Memory;
use crate::outgoing::Outgoing;
use crate::places::Places;
use crate::pump;
use crate::transmission;

/// How long a client may take to choose an export.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take for the last answers.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Clients that choose an export at the same time.
const HAGGLING: usize = 16;

/// The exports, and what their clients share. A handle: clones are the same server.
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    geom: Geom,
    exec: Executor,
    exports: Vec<Served>,
    pool: Rc<Pool>,
    haggling: Places,
}

impl Server {
    /// Serves these exports, with the usual [`Limits`]. `exec` also runs the requests of clients.
    #[must_use]
    pub fn new(geom: &Geom, exec: &Executor, exports: Vec<Export>) -> Self {
        Self::with_limits(geom, exec, exports, Limits::default())
    }

    /// As [`new`](Self::new), in a domain whose heap can take as many bytes as `room` says. What is
    /// under way is bounded by what that is now; and later, what clients ask for is refused where
    /// too little would be left.
    #[must_use]
    pub fn within(
        geom: &Geom,
        exec: &Executor,
        exports: Vec<Export>,
        room: Rc<dyn Fn() -> usize>,
    ) -> Self {
        let limits = Limits::of(room());
        Self::assemble(geom, exec, exports, Pool::new(limits, Memory::new(room)))
    }

    /// As [`new`](Self::new), with other limits.
    #[must_use]
    pub fn with_limits(geom: &Geom, exec: &Executor, exports: Vec<Export>, limits: Limits) -> Self {
        let memory = Memory::new(Rc::new(|| usize::MAX));
        Self::assemble(geom, exec, exports, Pool::new(limits, memory))
    }

    fn assemble(geom: &Geom, exec: &Executor, exports: Vec<Export>, pool: Rc<Pool>) -> Self {
        Self {
            inner: Rc::new(Inner {
                geom: geom.clone(),
                exec: exec.clone(),
                exports: exports.into_iter().map(Served::new).collect(),
                pool,
                haggling: Places::new(HAGGLING),
            }),
        }
    }

    /// Serves one client of `peer` until it leaves, or is made to. Dropping the future makes it
    /// leave at once. One peer gets half of the places at most; one that has many addresses is to
    /// be named by what they have in common.
    ///
    /// `writer` is flushed only at the end: it sends what is written to it without being told to.
    ///
    /// # Errors
    /// Why the connection ended, if not by the client's own word. The stream is to be closed in any
    /// case.
    pub async fn serve<R: Read, W: Write>(
        &self,
        peer: IpAddr,
        reader: R,
        writer: W,
    ) -> Result<(), Fault> {
        let exec = &self.inner.exec;
        let intake = Intake::default();
        let outgoing = Closing(Rc::default());
        let mut talk = pin!(self.talk(peer, &intake, &outgoing.0).fuse());
        let mut fill = pin!(pump::fill(reader, &intake).fuse());
        let mut drain = pin!(pump::drain(writer, &outgoing.0, exec).fuse());
        let result = select_biased! {
            result = talk => result,
            fault = fill => return Err(fault),
            result = drain => return result,
        };
        outgoing.0.finish();
        let sent = exec.timeout(LAST_WORDS, drain).await;
        result.and(sent.unwrap_or(Err(Fault::Late)))
    }

    async fn talk(
        &self,
        peer: IpAddr,
        intake: &Intake,
        outgoing: &Rc<Outgoing>,
    ) -> Result<(), Fault> {
        let Inner {
            geom,
            exec,
            exports,
            pool,
            haggling,
        } = &*self.inner;
        let place = haggling.take(peer).ok_or(Fault::Crowded)?;
        let handshake = Handshake::new(geom, exports, peer).run(intake, outgoing);
        let chosen = exec.timeout(HANDSHAKE, handshake).await;
        drop(place);
        let Some(chosen) = chosen.unwrap_or(Err(Fault::Late))? else {
            return Ok(());
        };
        let client = Connection::new(
            exec.clone(),
            chosen.opened,
            chosen.structured,
            outgoing.clone(),
            Share::new(pool),
        );
        transmission::serve(&client, intake).await
    }
}

/// Whoever drops it has nothing more sent.
struct Closing(Rc<Outgoing>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}
