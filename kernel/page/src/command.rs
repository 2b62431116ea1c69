//! `/run`: what a line of commands prints, as it is printed.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;

use exec::{Level, Sleep};
use futures_util::stream;
use http::response::TEXT;
use http::{Response, Status};
use hv::ShutdownReason;
use shell::output::Output;

use crate::collect::Page;
use crate::snapshot::Running;
use crate::turn::Turn;

/// How long a line may run.
const LONGEST: Duration = Duration::from_secs(300);
/// How much of a line's first word the log repeats, in characters.
const SHOWN: usize = 20;

/// Runs `line`. One runs at a time.
pub(crate) fn answer(page: &Rc<Page>, line: String) -> Response {
    let Some(turn) = page.running.begin() else {
        return Response::error(Status::Unavailable, "another line is running");
    };
    // The log is for everybody: what a command is told may not be.
    let first = line.split_whitespace().next().unwrap_or_default();
    let shown: String = first.chars().take(SHOWN).collect();
    page.log
        .write(Level::Info, "page", format_args!("runs: {shown}"));
    let out = Output::new();
    let session = Session {
        running: page.inside.clone().run(line, out.clone()),
        limit: page.exec.sleep(LONGEST),
        out,
        page: page.clone(),
        _turn: turn,
    };
    let printed = stream::unfold(Some(session), |session| async move {
        let mut session = session?;
        let (text, more) = session.next().await;
        Some((text, more.then_some(session)))
    });
    Response::stream(TEXT, Box::pin(printed))
}

/// A line that runs. Dropping it ends it, as ^C does.
struct Session {
    running: Running,
    limit: Sleep,
    out: Output,
    page: Rc<Page>,
    _turn: Turn,
}

enum Event {
    Wrote(String),
    Ended(Option<ShutdownReason>),
    TooLong,
}

impl Session {
    /// What it printed since the last time, and whether there is more to come.
    async fn next(&mut self) -> (Vec<u8>, bool) {
        let (running, limit) = (&mut self.running, &mut self.limit);
        let mut wrote = pin!(self.out.take());
        let event = poll_fn(|context| {
            // First: a line may always have more to say.
            if Pin::new(&mut *limit).poll(context).is_ready() {
                return Poll::Ready(Event::TooLong);
            }
            if let Poll::Ready(end) = running.as_mut().poll(context) {
                return Poll::Ready(Event::Ended(end));
            }
            wrote.as_mut().poll(context).map(Event::Wrote)
        })
        .await;
        let (text, more) = match event {
            Event::Wrote(text) => (text, true),
            Event::Ended(end) => {
                if let Some(reason) = end {
                    let ending = self.page.inside.clone().end(reason);
                    self.page.exec.spawn("page end", ending);
                }
                (self.out.try_take(), false)
            }
            Event::TooLong => {
                self.out.write("it was ended: it ran for five minutes\n");
                (self.out.try_take(), false)
            }
        };
        (text.into_bytes(), more)
    }
}
