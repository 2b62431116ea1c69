//! The host's end of the agent's port: requests by id, each with its own queue of answers.

use anyhow::{Context, Result, bail};
use dom0::wire::{Frame, Kind};
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Who waits for answers; none at all once the port is closed.
type Waiting = Arc<Mutex<Option<HashMap<u32, mpsc::Sender<Frame>>>>>;

/// A connection to an agent.
pub(crate) struct Link {
    port: Mutex<UnixStream>,
    waiting: Waiting,
    next: AtomicU32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Talks over `port`. The agent's hello is the answer to the request this returns.
    pub(crate) fn new(port: UnixStream) -> Result<(Arc<Self>, Request)> {
        let (hello, answers) = mpsc::channel();
        let waiting = Arc::new(Mutex::new(Some(HashMap::from([(0, hello)]))));
        let mut from = port.try_clone()?;
        let table = Arc::clone(&waiting);
        thread::spawn(move || {
            while let Ok(frame) = Frame::read_from(&mut from) {
                if let Some(waiting) = &*lock(&table)
                    && let Some(request) = waiting.get(&frame.id)
                {
                    // A request that was dropped wants no more answers.
                    let _ = request.send(frame);
                }
            }
            *lock(&table) = None;
        });
        let link = Arc::new(Self {
            port: Mutex::new(port),
            waiting,
            next: AtomicU32::new(1),
        });
        let hello = Request {
            id: 0,
            answers,
            link: Arc::clone(&link),
            ended: false,
        };
        Ok((link, hello))
    }

    /// Sends a request.
    pub(crate) fn request(self: &Arc<Self>, kind: Kind, body: Vec<u8>) -> Result<Request> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answers) = mpsc::channel();
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id, sender),
            None => bail!("the nest has ended"),
        };
        let request = Request {
            id,
            answers,
            link: Arc::clone(self),
            ended: false,
        };
        request.send(kind, body)?;
        Ok(request)
    }
}

/// Sends frames of one request, as long as it is under way.
pub(crate) struct Sender {
    id: u32,
    link: Arc<Link>,
}

impl Sender {
    pub(crate) fn send(&self, kind: Kind, body: Vec<u8>) -> Result<()> {
        let frame = Frame::new(self.id, kind, body);
        frame
            .write_to(&mut *lock(&self.link.port))
            .context("the nest has ended")
    }
}

/// A request under way. Dropped before its last answer, it is ended in dom0, too.
pub(crate) struct Request {
    id: u32,
    answers: Receiver<Frame>,
    link: Arc<Link>,
    ended: bool,
}

impl Request {
    /// Sends a frame that belongs to this request.
    pub(crate) fn send(&self, kind: Kind, body: Vec<u8>) -> Result<()> {
        self.sender().send(kind, body)
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender {
            id: self.id,
            link: Arc::clone(&self.link),
        }
    }

    /// The next answer, or none if there is none until `deadline`.
    ///
    /// # Errors
    /// If the agent reports that the request failed, or the nest has ended.
    pub(crate) fn answer(&mut self, deadline: Instant) -> Result<Option<Frame>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.answers.recv_timeout(left) {
            Ok(frame) => {
                self.ended = matches!(frame.kind, Kind::Exit | Kind::Error | Kind::Done);
                if frame.kind == Kind::Error {
                    bail!("in dom0: {}", String::from_utf8_lossy(&frame.body));
                }
                Ok(Some(frame))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the nest has ended"),
        }
    }

    /// All the data until the request is complete.
    pub(crate) fn complete(mut self, limit: Duration) -> Result<Vec<u8>> {
        let deadline = Instant::now() + limit;
        let mut data = Vec::new();
        loop {
            match self.answer(deadline)? {
                Some(Frame {
                    kind: Kind::Data,
                    body,
                    ..
                }) => data.extend_from_slice(&body),
                Some(Frame {
                    kind: Kind::Done, ..
                }) => return Ok(data),
                Some(frame) => bail!("the agent answered {:?}", frame.kind),
                None => bail!("no answer from dom0 within {} s", limit.as_secs()),
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *lock(&self.link.waiting) {
            waiting.remove(&self.id);
        }
        if !self.ended && self.id != 0 {
            // If the nest has ended, so has the request.
            let _ = self.send(Kind::Kill, Vec::new());
        }
    }
}
