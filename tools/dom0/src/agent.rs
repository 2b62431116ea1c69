//! The lab's hands in dom0: serves [`Frame`]s, each request on a thread of its own.

use crate::wire::{Frame, Kind, MAX_BODY};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

mod command;
mod file;
mod follow;
mod terminal;

/// What reaches a request that is under way.
enum Input {
    /// Bytes from the host.
    Data(Vec<u8>),
    /// No more bytes follow.
    End,
    /// End now.
    Kill,
    /// The file that is followed may have changed.
    Changed,
    /// The request's own command ended.
    Exited(io::Result<ExitStatus>),
}

/// The way back to the host for one request.
#[derive(Clone)]
struct Reply {
    id: u32,
    port: Arc<Mutex<dyn Write + Send>>,
}

impl Reply {
    fn send(&self, kind: Kind, body: impl Into<Vec<u8>>) -> io::Result<()> {
        let frame = Frame::new(self.id, kind, body);
        frame.write_to(&mut *lock(&self.port))
    }

    /// Sends what can be read from `from` now, up to its end, as frames of `kind`.
    fn send_all(&self, kind: Kind, from: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; MAX_BODY];
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                length => self.send(kind, &buffer[..length])?,
            }
        }
    }
}

/// A poisoned lock means that another request's thread panicked; this one can go on.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Requests = Arc<Mutex<HashMap<u32, Sender<Input>>>>;

/// Serves requests from `from`, answering on `to`, until `from` ends. Says hello first.
///
/// Requests still under way at the end are told to end, and are not waited for.
///
/// # Errors
/// What `from` or `to` says; `UnexpectedEof` when the host is gone.
pub fn serve(mut from: impl Read, to: impl Write + Send + 'static) -> io::Result<()> {
    let port: Arc<Mutex<dyn Write + Send>> = Arc::new(Mutex::new(to));
    Reply {
        id: 0,
        port: Arc::clone(&port),
    }
    .send(Kind::Hello, [])?;
    let requests = Requests::default();
    let end = loop {
        let frame = match Frame::read_from(&mut from) {
            Ok(frame) => frame,
            Err(end) => break end,
        };
        let input = match frame.kind {
            Kind::Data => Input::Data(frame.body),
            Kind::End => Input::End,
            Kind::Kill => Input::Kill,
            _ => {
                let reply = Reply {
                    id: frame.id,
                    port: Arc::clone(&port),
                };
                start(frame, reply, &requests);
                continue;
            }
        };
        if let Some(request) = lock(&requests).get(&frame.id) {
            // A request that has just ended needs no more input.
            let _ = request.send(input);
        }
    };
    for request in lock(&requests).values() {
        let _ = request.send(Input::Kill);
    }
    Err(end)
}

fn start(frame: Frame, reply: Reply, requests: &Requests) {
    let (sender, inputs) = mpsc::channel();
    lock(requests).insert(frame.id, sender.clone());
    let requests = Arc::clone(requests);
    thread::spawn(move || {
        let outcome = perform(&frame, &reply, sender, &inputs);
        lock(&requests).remove(&frame.id);
        // When the port is gone, so is the host: nobody is left to be told.
        let _ = match outcome {
            Ok(()) => Ok(()),
            Err(error) => reply.send(Kind::Error, error.to_string()),
        };
    });
}

/// Carries out one request and sends its last frame, except [`Kind::Error`].
fn perform(
    frame: &Frame,
    reply: &Reply,
    own: Sender<Input>,
    inputs: &Receiver<Input>,
) -> io::Result<()> {
    match frame.kind {
        Kind::Run => command::run(&frame.body, reply, own, inputs),
        Kind::Put => file::put(&frame.body, reply, inputs),
        Kind::Get => file::get(&frame.body, reply),
        Kind::Follow => follow::serve(&frame.body, reply, own, inputs),
        Kind::Terminal => terminal::serve(&frame.body, reply, inputs),
        kind => Err(malformed(&format!("{kind:?} is not a request"))),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn path(body: &[u8]) -> io::Result<&str> {
    str::from_utf8(body).map_err(|_| malformed("a path that is not UTF-8"))
}
