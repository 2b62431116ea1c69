//! xenstore, over xenstored's socket (`io/xs_wire.h`).

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;
use xen_abi::io::xs_wire::{HEADER_SIZE, Header, PAYLOAD_MAX, kind};

const SOCKET: &str = "/run/xenstored/socket";

/// How often a transaction is tried that others disturb.
const TRIES: u32 = 100;

/// A connection to xenstored with dom0's rights.
pub(crate) struct Store {
    stream: UnixStream,
    /// The transaction that all requests belong to now; 0 for none.
    transaction: u32,
    /// Watch events that came while a reply was awaited.
    fired: usize,
}

impl Store {
    pub(crate) fn open() -> Result<Self> {
        let stream = UnixStream::connect(SOCKET).with_context(|| SOCKET)?;
        Ok(Self {
            stream,
            transaction: 0,
            fired: 0,
        })
    }

    /// The node's value; none if there is no such node.
    pub(crate) fn read(&mut self, path: &str) -> Result<Option<String>> {
        match self.ask(kind::READ, &[path, "\0"]) {
            Ok(value) => Ok(Some(value)),
            Err(Refusal::Error(name)) if name == "ENOENT" => Ok(None),
            Err(refusal) => Err(refusal.about(path)),
        }
    }

    /// The names of the node's children; none if there is no such node. They must fit a message.
    pub(crate) fn list(&mut self, path: &str) -> Result<Vec<String>> {
        match self.ask(kind::DIRECTORY, &[path, "\0"]) {
            Ok(names) => {
                let names = names.split_terminator('\0');
                Ok(names.map(str::to_owned).collect())
            }
            Err(Refusal::Error(name)) if name == "ENOENT" => Ok(Vec::new()),
            Err(refusal) => Err(refusal.about(path)),
        }
    }

    pub(crate) fn write(&mut self, path: &str, value: &str) -> Result<()> {
        self.done(kind::WRITE, path, &[path, "\0", value])
    }

    /// Makes a node that `owner` owns and `reader` may read, and so what is made below it.
    pub(crate) fn make_directory(&mut self, path: &str, owner: u32, reader: u32) -> Result<()> {
        self.done(kind::MKDIR, path, &[path, "\0"])?;
        let permissions = format!("n{owner}\0r{reader}\0");
        self.done(kind::SET_PERMS, path, &[path, "\0", &permissions])
    }

    /// Removes a node, if there is one, and all below it.
    pub(crate) fn remove(&mut self, path: &str) -> Result<()> {
        match self.ask(kind::RM, &[path, "\0"]) {
            Ok(_) => Ok(()),
            Err(Refusal::Error(name)) if name == "ENOENT" => Ok(()),
            Err(refusal) => Err(refusal.about(path)),
        }
    }

    /// Watches a node; [`Store::take_events`] tells of changes. The first event comes at once.
    pub(crate) fn watch(&mut self, path: &str) -> Result<()> {
        self.done(kind::WATCH, path, &[path, "\0watch\0"])
    }

    /// Does what `body` does all at once.
    pub(crate) fn transaction(
        &mut self,
        mut body: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let started = self.ask(kind::TRANSACTION_START, &["\0"]);
            let id = started.map_err(|refusal| refusal.about("a transaction"))?;
            self.transaction = id.trim_end_matches('\0').parse()?;
            let done = body(self);
            let verdict = if done.is_ok() { "T\0" } else { "F\0" };
            let ended = self.ask(kind::TRANSACTION_END, &[verdict]);
            self.transaction = 0;
            match ended {
                Err(Refusal::Error(name)) if name == "EAGAIN" => {}
                Err(refusal) => return done.and(Err(refusal.about("a transaction"))),
                Ok(_) => return done,
            }
        }
        bail!("others disturbed a transaction {TRIES} times")
    }

    /// Whether an event is there that came while something else was awaited.
    pub(crate) fn has_event(&self) -> bool {
        self.fired > 0
    }

    /// Takes all events known so far; waits for one if there is none.
    pub(crate) fn take_events(&mut self) -> Result<()> {
        while self.fired == 0 {
            let (header, _) = self.message()?;
            self.fired += usize::from(header.kind == kind::WATCH_EVENT);
        }
        self.fired = 0;
        Ok(())
    }

    /// Takes all events known so far; waits for one until `deadline` if there is none. Whether
    /// there was one.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<bool> {
        if !self.has_event() {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left)?;
            if poll(&mut [PollFd::new(&*self, PollFlags::IN)], Some(&left))? == 0 {
                return Ok(false);
            }
        }
        self.take_events()?;
        Ok(true)
    }

    fn done(&mut self, kind: u32, path: &str, payload: &[&str]) -> Result<()> {
        let answer = self.ask(kind, payload);
        answer.map(drop).map_err(|refusal| refusal.about(path))
    }

    fn ask(&mut self, kind: u32, payload: &[&str]) -> Result<String, Refusal> {
        let payload = payload.concat();
        let header = Header {
            kind,
            req_id: 1,
            tx_id: self.transaction,
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        };
        let mut message = header.encode().to_vec();
        message.extend_from_slice(payload.as_bytes());
        let sent = self.stream.write_all(&message);
        sent.map_err(|error| Refusal::Broken(error.into()))?;
        loop {
            let (header, answer) = self.message().map_err(Refusal::Broken)?;
            match header.kind {
                kind::WATCH_EVENT => self.fired += 1,
                kind::ERROR => {
                    let name = answer.trim_end_matches('\0').to_owned();
                    return Err(Refusal::Error(name));
                }
                _ => return Ok(answer),
            }
        }
    }

    fn message(&mut self) -> Result<(Header, String)> {
        let mut header = [0; HEADER_SIZE];
        self.stream.read_exact(&mut header).context(SOCKET)?;
        let header = Header::decode(&header);
        let length = header.len as usize;
        if length > PAYLOAD_MAX {
            bail!("{SOCKET}: a message of {length} bytes");
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).context(SOCKET)?;
        Ok((header, String::from_utf8_lossy(&payload).into_owned()))
    }
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Why a request has no answer.
enum Refusal {
    Error(String),
    Broken(anyhow::Error),
}

impl Refusal {
    fn about(self, path: &str) -> anyhow::Error {
        match self {
            Self::Error(name) => anyhow::anyhow!("xenstore: {path}: {name}"),
            Self::Broken(error) => error,
        }
    }
}
