//! The task that serves the console: moves bytes between queue, log and ring.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;

use exec::{Level, Log};
use hv::{Hypervisor, SharedMem};
use pv::Channel;
use ring::{ByteRing, ByteStream, PeerFault, StreamLayout};
use xen_abi::io::console::{
    CONNECTED, CONNECTION, IN, IN_CONS, IN_PROD, IN_SIZE, OUT, OUT_CONS, OUT_PROD, OUT_SIZE,
};

use crate::console::{INPUT, Shared};

/// Log lines are queued while less than this waits; the others wait in the log, whose ring is
/// larger.
const LOG_ROOM: usize = 2048;

/// The page's two streams as the domain sees them (`struct xencons_interface` in io/console.h).
const LAYOUT: StreamLayout = StreamLayout {
    incoming: ByteRing {
        buffer: IN,
        length: IN_SIZE as u32,
        cons: IN_CONS,
        cons_name: "in_cons",
        prod: IN_PROD,
        prod_name: "in_prod",
    },
    outgoing: ByteRing {
        buffer: OUT,
        length: OUT_SIZE as u32,
        cons: OUT_CONS,
        cons_name: "out_cons",
        prod: OUT_PROD,
        prod_name: "out_prod",
    },
};

pub(crate) struct Line<M> {
    stream: ByteStream<M>,
    shared: Rc<Shared>,
    log: Log,
    /// The number of the log line to be printed next.
    next_line: u64,
    /// The daemon's index was impossible when last looked at, and that has been said.
    input_faulty: bool,
    output_faulty: bool,
}

impl<M: SharedMem> Line<M> {
    pub(crate) fn new(page: M, shared: Rc<Shared>, log: Log) -> Self {
        let stream = ByteStream::attach(page, LAYOUT);
        Self {
            stream,
            shared,
            log,
            next_line: 0,
            input_faulty: false,
            output_faulty: false,
        }
    }

    /// Reads what was typed and prints what there is room for. Returns whether any byte was moved,
    /// so that the daemon must be sent an event.
    ///
    /// While an index of the daemon's is impossible, its direction rests.
    fn pump(&mut self) -> bool {
        let mut state = [0];
        self.stream.memory().read(CONNECTION, &mut state);
        self.shared.connected.set(state == [CONNECTED]);
        let (read, fault) = self.receive();
        self.complain(fault, |line| &mut line.input_faulty);
        let (written, fault) = self.send();
        self.complain(fault, |line| &mut line.output_faulty);
        if read != 0 {
            self.shared.typed.notify();
        }
        if written != 0 {
            self.shared
                .printed
                .set(self.shared.printed.get() + written as u64);
            self.shared.taken.notify();
        }
        let idle = self.shared.queue.borrow().is_empty()
            && self.log.line_from(self.next_line).is_none()
            && self.stream.room() == Ok(LAYOUT.outgoing.length);
        self.shared.idle.set(idle);
        self.shared.progress.notify();
        read + written != 0
    }

    fn receive(&mut self) -> (usize, Option<PeerFault>) {
        let mut input = self.shared.input.borrow_mut();
        let mut total = 0;
        let mut chunk = [0; 256];
        // The ring's length is a bound that a daemon which types for ever cannot push out.
        while total < IN_SIZE {
            let room = chunk.len().min(INPUT.saturating_sub(input.len()));
            let space = chunk.get_mut(..room).unwrap_or_default();
            match self.stream.read(space) {
                Ok(0) => break,
                Ok(count) => {
                    input.extend(space.iter().take(count));
                    total += count;
                }
                Err(fault) => return (total, Some(fault)),
            }
        }
        (total, None)
    }

    fn send(&mut self) -> (usize, Option<PeerFault>) {
        let shared = self.shared.clone();
        let mut total = 0;
        // As above, for one that takes bytes as fast as they come.
        while total < OUT_SIZE {
            self.take_log();
            let mut queue = shared.queue.borrow_mut();
            match self.stream.write(queue.front()) {
                Ok(0) => break,
                Ok(count) => {
                    queue.consume(count);
                    total += count;
                }
                Err(fault) => return (total, Some(fault)),
            }
        }
        (total, None)
    }

    /// Queues lines of the log while there is room.
    fn take_log(&mut self) {
        let mut queue = self.shared.queue.borrow_mut();
        while queue.len() < LOG_ROOM {
            let Some(line) = self.log.line_from(self.next_line) else {
                return;
            };
            let lost = line.number.saturating_sub(self.next_line);
            if lost != 0 {
                self.shared
                    .log_lines_lost
                    .set(self.shared.log_lines_lost.get() + lost);
                queue.push_line(&format!("[{lost} lines of the log are lost]"));
            }
            queue.push_line(&line.to_string());
            self.next_line = line.number + 1;
        }
    }

    /// Logs a fault when it begins, and no more until it has ended.
    fn complain(&mut self, fault: Option<PeerFault>, faulty: impl Fn(&mut Self) -> &mut bool) {
        let was = core::mem::replace(faulty(self), fault.is_some());
        if let Some(fault) = fault
            && !was
        {
            self.log
                .limited(Level::Error, "console", format_args!("{fault}"));
        }
    }
}

/// Serves the console for ever.
pub(crate) async fn run<H: Hypervisor>(mut line: Line<H::Mapping>, channel: Channel<H>) {
    let mut event = false;
    loop {
        if line.pump() {
            channel.notify();
            channel.was_useful();
        } else if event {
            channel.was_spurious();
        }
        event = wait(&line, &channel).await;
    }
}

/// Waits for an event, for something to print, or for a line of the log; says whether it was an
/// event.
async fn wait<H: Hypervisor>(line: &Line<H::Mapping>, channel: &Channel<H>) -> bool {
    let mut event = pin!(channel.wait());
    let mut logged = pin!(line.log.written());
    poll_fn(|context| {
        let event = event.as_mut().poll(context).is_ready();
        let logged = logged.as_mut().poll(context).is_ready();
        let work = line.shared.work.poll_notified(context).is_ready();
        if event || logged || work {
            Poll::Ready(event)
        } else {
            Poll::Pending
        }
    })
    .await
}
