//! The shell at its console: a line from there, or from the kernel command line, and what it does.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;

use console::Console;
use exec::Notify;
use hv::{Hypervisor, ShutdownReason};

use crate::command::Parts;
use crate::completion;
use crate::editor::{Editor, MAX_LINE};
use crate::output::Output;

/// The prompt.
pub const PROMPT: &str = "xenolith> ";
/// Ends the command that runs.
const INTERRUPT: u8 = 0x03;
/// Takes away what stands on the terminal's present line.
const CLEAR_LINE: &str = "\r\x1b[K";

/// A handle to the shell; clones speak for the same one.
pub struct Shell<H: Hypervisor> {
    inner: Rc<Inner<H>>,
}

struct Inner<H: Hypervisor> {
    parts: Parts<H>,
    submitted: RefCell<VecDeque<String>>,
    arrived: Notify,
}

impl<H: Hypervisor> Clone for Shell<H> {
    fn clone(&self) -> Self {
        let inner = self.inner.clone();
        Self { inner }
    }
}

impl<H: Hypervisor> Shell<H> {
    /// A shell over `parts`.
    pub fn new(parts: Parts<H>) -> Self {
        let inner = Inner {
            parts,
            submitted: RefCell::default(),
            arrived: Notify::new(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Has `line` run as if it was typed, after the lines submitted before.
    pub fn submit(&self, line: &str) {
        self.inner.submitted.borrow_mut().push_back(line.into());
        self.inner.arrived.notify();
    }

    /// Serves `console` until a command asks for the domain's end: returns how to end it, with all
    /// output handed to the console. To be called once.
    pub async fn serve(self, console: Console<H>) -> ShutdownReason {
        let mut session = Session {
            shell: self,
            console,
            editor: Editor::new(PROMPT),
            out: Output::new(),
            running: None,
            ahead: VecDeque::new(),
        };
        session.prompt();
        loop {
            match session.next().await {
                Event::Wrote(text) => session.console.print(text.as_bytes()).await,
                Event::Typed(bytes) => bytes.into_iter().for_each(|byte| session.typed(byte)),
                Event::Submitted => session.run_submitted(),
                Event::Ended(None) => session.ended(),
                Event::Ended(Some(reason)) => {
                    let rest = session.out.try_take();
                    session.console.print(rest.as_bytes()).await;
                    return reason;
                }
            }
        }
    }

    /// Runs the commands of a line; the reason if one asks for the end.
    async fn run(self, line: String, out: Output) -> Option<ShutdownReason> {
        self.inner.parts.run(&line, &out).await
    }

    fn candidates(&self, before: &str) -> Vec<String> {
        completion::candidates(before, || self.inner.parts.provider_names())
    }
}

type Running = Pin<Box<dyn Future<Output = Option<ShutdownReason>>>>;

/// A shell at its console.
struct Session<H: Hypervisor> {
    shell: Shell<H>,
    console: Console<H>,
    editor: Editor,
    out: Output,
    /// The line that runs; without one, the prompt is shown.
    running: Option<Running>,
    /// What was typed while a command ran.
    ahead: VecDeque<u8>,
}

enum Event {
    Wrote(String),
    Typed(Vec<u8>),
    Submitted,
    Ended(Option<ShutdownReason>),
}

impl<H: Hypervisor> Session<H> {
    /// Waits for the next thing to do.
    async fn next(&mut self) -> Event {
        let arrived = &self.shell.inner.arrived;
        let running = &mut self.running;
        let mut wrote = pin!(self.out.take());
        let mut typed = pin!(self.console.read());
        poll_fn(|context| {
            if let Some(command) = running
                && let Poll::Ready(end) = command.as_mut().poll(context)
            {
                *running = None;
                return Poll::Ready(Event::Ended(end));
            }
            if let Poll::Ready(text) = wrote.as_mut().poll(context) {
                return Poll::Ready(Event::Wrote(text));
            }
            if running.is_none() && arrived.poll_notified(context).is_ready() {
                return Poll::Ready(Event::Submitted);
            }
            typed.as_mut().poll(context).map(Event::Typed)
        })
        .await
    }

    fn prompt(&self) {
        let mut echo = String::new();
        self.editor.prompt(&mut echo);
        self.out.write(&echo);
    }

    fn typed(&mut self, byte: u8) {
        if self.running.is_none() {
            self.edit(byte);
        } else if byte == INTERRUPT {
            self.running = None;
            self.ahead.clear();
            self.out.write("^C\n");
            self.ended();
        } else if self.ahead.len() < MAX_LINE {
            self.ahead.push_back(byte);
        }
    }

    fn edit(&mut self, byte: u8) {
        let mut echo = String::new();
        let shell = &self.shell;
        let line = self
            .editor
            .feed(byte, &mut echo, |before| shell.candidates(before));
        self.out.write(&echo);
        if let Some(line) = line {
            self.start(line);
        }
    }

    fn start(&mut self, line: String) {
        self.running = Some(Box::pin(self.shell.clone().run(line, self.out.clone())));
    }

    fn run_submitted(&mut self) {
        let line = self.shell.inner.submitted.borrow_mut().pop_front();
        if let Some(line) = line {
            // The prompt stands there; what is half typed behind it gives way, and comes again
            // later.
            if !self.editor.is_empty() {
                self.out.write(CLEAR_LINE);
                self.out.write(PROMPT);
            }
            self.out.line(format_args!("{line}"));
            self.start(line);
        }
    }

    /// After a command: the next submitted line, or the prompt and what was typed meanwhile.
    fn ended(&mut self) {
        self.prompt();
        if !self.shell.inner.submitted.borrow().is_empty() {
            return self.run_submitted();
        }
        while self.running.is_none()
            && let Some(byte) = self.ahead.pop_front()
        {
            self.edit(byte);
        }
    }
}
