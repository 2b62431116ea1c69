//! Frames between the lab (host) and its agent (dom0).
//!
//! A frame is a 32-bit little-endian length of what follows it, a 32-bit request id, one byte of
//! [`Kind`] and a body. The host picks the ids; every frame the agent sends carries the id of the
//! request it belongs to, so any number of requests may be under way at once.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Largest body of one frame, in bytes. Longer data is sent as several frames.
pub const MAX_BODY: usize = 64 * 1024;

/// Bytes of id and kind, counted by a frame's length.
const HEAD: usize = 5;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Agent: it is up and listens. Its id is 0.
    Hello = 0,
    /// Host: run a command; the body is a [`Command`].
    Run = 1,
    /// Host: write a file; the body is a [`Put`]. Its bytes follow as [`Kind::Data`], then
    /// [`Kind::End`]; the file appears under its name when it is complete.
    Put = 2,
    /// Host: send a file, whose path is the body. Agent: [`Kind::Data`], then [`Kind::Done`].
    Get = 3,
    /// Host: send a file from its start and whatever is appended to it, until [`Kind::Kill`].
    /// The file need not exist yet.
    Follow = 4,
    /// Host: open the terminal whose path is the body, make it raw and keep it open; what comes as
    /// [`Kind::Data`] is written to it, until [`Kind::Kill`]. Its output is read and dropped.
    Terminal = 5,
    /// Either: bytes of a file, or of a command's standard input.
    Data = 6,
    /// Host: no more [`Kind::Data`] follows.
    End = 7,
    /// Host: end this request now. A command is killed with its whole process group.
    Kill = 8,
    /// Agent: a command wrote this to its standard output.
    Stdout = 9,
    /// Agent: a command wrote this to its standard error.
    Stderr = 10,
    /// Agent: a command ended; the body is an [`Ending`]. Last frame of its request.
    Exit = 11,
    /// Agent: the request failed; the body says why. Last frame of its request.
    Error = 12,
    /// Agent: the request is complete. Last frame of its request.
    Done = 13,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Hello,
        Self::Run,
        Self::Put,
        Self::Get,
        Self::Follow,
        Self::Terminal,
        Self::Data,
        Self::End,
        Self::Kill,
        Self::Stdout,
        Self::Stderr,
        Self::Exit,
        Self::Error,
        Self::Done,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The request it belongs to.
    pub id: u32,
    /// What it says.
    pub kind: Kind,
    /// Its content, at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame of request `id`.
    pub fn new(id: u32, kind: Kind, body: impl Into<Vec<u8>>) -> Self {
        Self {
            id,
            kind,
            body: body.into(),
        }
    }

    /// Writes the frame in one call, so that frames of several threads do not mix when each
    /// locks the writer for one frame.
    ///
    /// # Errors
    /// `InvalidInput` if the body is longer than [`MAX_BODY`]; else what the writer says.
    pub fn write_to(&self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        if self.body.len() > MAX_BODY {
            return Err(ErrorKind::InvalidInput.into());
        }
        let length = u32::try_from(HEAD + self.body.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(4 + HEAD + self.body.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.body);
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Reads one frame; blocks until it is complete.
    ///
    /// # Errors
    /// `UnexpectedEof` at the end of the stream, `InvalidData` for a length or a kind that does
    /// not exist (the stream is then unusable); else what the reader says.
    pub fn read_from(from: &mut impl Read) -> io::Result<Self> {
        let mut word = [0; 4];
        from.read_exact(&mut word)?;
        let length = u32::from_le_bytes(word) as usize;
        if !(HEAD..=HEAD + MAX_BODY).contains(&length) {
            return Err(invalid(format!("a frame of {length} bytes")));
        }
        from.read_exact(&mut word)?;
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        let mut body = vec![0; length - HEAD];
        from.read_exact(&mut body)?;
        let [byte] = kind;
        let kind = Kind::from_byte(byte).ok_or_else(|| invalid(format!("frame kind {byte}")))?;
        Ok(Self {
            id: u32::from_le_bytes(word),
            kind,
            body,
        })
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Body of [`Kind::Run`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The command is killed after this long. Whole milliseconds, at most 49 days.
    pub limit: Duration,
    /// Whether standard input comes as [`Kind::Data`]; otherwise it is empty.
    pub input: bool,
    /// A line for bash.
    pub line: String,
}

impl Command {
    /// The bytes for a frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let millis = u32::try_from(self.limit.as_millis()).unwrap_or(u32::MAX);
        let mut bytes = millis.to_le_bytes().to_vec();
        bytes.push(u8::from(self.input));
        bytes.extend_from_slice(self.line.as_bytes());
        bytes
    }

    /// The command in `bytes`, if they are well formed.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (millis, rest) = bytes.split_first_chunk()?;
        let (input, line) = rest.split_first()?;
        Some(Self {
            limit: Duration::from_millis(u64::from(u32::from_le_bytes(*millis))),
            input: *input != 0,
            line: str::from_utf8(line).ok()?.to_owned(),
        })
    }
}

/// Body of [`Kind::Put`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Permission bits of the new file.
    pub mode: u32,
    /// Its absolute path; missing directories are made.
    pub path: String,
}

impl Put {
    /// The bytes for a frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.mode.to_le_bytes().to_vec();
        bytes.extend_from_slice(self.path.as_bytes());
        bytes
    }

    /// The request in `bytes`, if they are well formed.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (mode, path) = bytes.split_first_chunk()?;
        let path = str::from_utf8(path).ok()?.to_owned();
        Some(Self {
            mode: u32::from_le_bytes(*mode),
            path,
        })
    }
}

/// How a command ended: body of [`Kind::Exit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It ran into its time limit and was killed.
    TimedOut,
    /// The host had it killed.
    Killed,
}

impl Ending {
    /// The bytes for a frame.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (tag, value) = match self {
            Self::Exited(status) => (0, status),
            Self::Signalled(signal) => (1, signal),
            Self::TimedOut => (2, 0),
            Self::Killed => (3, 0),
        };
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes
    }

    /// The ending in `bytes`, if they are well formed.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, value) = bytes.split_first()?;
        let value = i32::from_le_bytes(value.try_into().ok()?);
        match tag {
            0 => Some(Self::Exited(value)),
            1 => Some(Self::Signalled(value)),
            2 => Some(Self::TimedOut),
            3 => Some(Self::Killed),
            _ => None,
        }
    }
}
