//! A client by the book, or one that says whatever bytes a test wants.

use std::cell::Cell;
use std::rc::Rc;

use nbd::Fault;

use crate::rig::Rig;
use crate::stream::Wire;

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
pub(crate) const DISC: u16 = 2;
pub(crate) const FLUSH: u16 = 3;
pub(crate) const TRIM: u16 = 4;
pub(crate) const ZEROES: u16 = 6;
pub(crate) const FUA: u16 = 1;

pub(crate) const GO: u32 = 7;
pub(crate) const INFO: u32 = 6;
pub(crate) const STRUCTURED: u32 = 8;
pub(crate) const ACK: u32 = 1;

pub(crate) struct Client<'rig> {
    pub(crate) rig: &'rig Rig,
    pub(crate) wire: Rc<Wire>,
    pub(crate) result: Rc<Cell<Option<Result<(), Fault>>>>,
    pub(crate) structured: bool,
}

/// A reply in the transmission phase, its chunks put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) cookie: u64,
    pub(crate) error: u32,
    /// Data by its offset, of structured replies.
    pub(crate) chunks: Vec<(u64, Vec<u8>)>,
    pub(crate) done: bool,
}

impl Client<'_> {
    pub(crate) fn send(&self, bytes: &[u8]) {
        self.wire.to_server.borrow_mut().extend(bytes);
        self.wire.wake();
        self.rig.run();
    }

    /// What was received and not taken.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.wire.to_client.take()
    }

    /// How the server says that it ended.
    pub(crate) fn ended(&self) -> Option<Result<(), Fault>> {
        self.result.get()
    }

    /// Closes the stream.
    pub(crate) fn hang_up(&self) {
        self.wire.closed.set(true);
        self.wire.wake();
        self.rig.run();
    }

    /// Takes `room` more bytes than it has.
    pub(crate) fn allow(&self, room: usize) {
        self.wire.room.set(room);
        self.wire.wake();
        self.rig.run();
    }

    pub(crate) fn greet(&self) {
        let greeting = self.take();
        assert_eq!(greeting, b"NBDMAGICIHAVEOPT\0\x03");
        self.send(&[0, 0, 0, 3]);
    }

    /// Sends an option; the replies, by type.
    pub(crate) fn option(&self, option: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        self.send(&option_bytes(option, data));
        replies(option, &self.take())
    }

    /// Chooses an export.
    pub(crate) fn go(&mut self, name: &str, structured: bool) {
        self.greet();
        if structured {
            assert_eq!(self.option(STRUCTURED, &[]), [(ACK, vec![])]);
            self.structured = true;
        }
        let replies = self.option(GO, &wish(name, &[3]));
        assert_eq!(replies.last(), Some(&(ACK, vec![])), "{replies:?}");
    }

    /// Sends a request and what else there is of it, and takes no reply.
    pub(crate) fn ask(&self, command: u16, flags: u16, cookie: u64, range: (u64, u32)) {
        self.send(&request(command, flags, cookie, range));
    }

    pub(crate) fn write(&self, flags: u16, cookie: u64, offset: u64, data: &[u8]) {
        let mut bytes = request(WRITE, flags, cookie, (offset, data.len() as u32));
        bytes.extend(data);
        self.send(&bytes);
    }

    /// All replies that came, each with its chunks; `reads` says how long the data of a simple
    /// reply is.
    pub(crate) fn replies(&self, reads: &[(u64, u32)]) -> Vec<Reply> {
        let bytes = self.take();
        let mut rest = bytes.as_slice();
        let mut replies: Vec<Reply> = Vec::new();
        while !rest.is_empty() {
            let from = &mut rest;
            match number(from, 4) {
                0x6744_6698 => {
                    let error = number(from, 4) as u32;
                    let cookie = number(from, 8);
                    let read = reads.iter().find(|(known, _)| *known == cookie);
                    let length = read.filter(|_| error == 0 && !self.structured);
                    let data = length.map(|(_, length)| bytes_of(from, *length as usize));
                    replies.push(Reply {
                        cookie,
                        error,
                        chunks: data.into_iter().map(|data| (0, data)).collect(),
                        done: true,
                    });
                }
                0x668e_33ef => self.chunk(from, &mut replies),
                magic => panic!("{magic:x}"),
            }
        }
        replies
    }

    fn chunk(&self, from: &mut &[u8], replies: &mut Vec<Reply>) {
        assert!(self.structured);
        let (flags, kind) = (number(from, 2), number(from, 2));
        let (cookie, length) = (number(from, 8), number(from, 4));
        let payload = bytes_of(from, length as usize);
        let known = |reply: &Reply| reply.cookie == cookie && !reply.done;
        let index = replies.iter().position(known).unwrap_or_else(|| {
            replies.push(Reply {
                cookie,
                ..Reply::default()
            });
            replies.len() - 1
        });
        let reply = &mut replies[index];
        reply.done = flags == 1;
        let payload = &mut payload.as_slice();
        match kind {
            0 => assert!(reply.done && payload.is_empty()),
            1 => {
                let at = number(payload, 8);
                assert!(!payload.is_empty());
                reply.chunks.push((at, payload.to_vec()));
            }
            0x8001 => {
                reply.error = number(payload, 4) as u32;
                let length = number(payload, 2) as usize;
                assert_eq!((payload.len(), reply.done), (length, true));
                assert_ne!(reply.error, 0);
            }
            kind => panic!("chunk of type {kind}"),
        }
    }
}

impl Reply {
    /// All data, in order.
    pub(crate) fn data(&self) -> Vec<u8> {
        let mut chunks = self.chunks.clone();
        chunks.sort();
        chunks.into_iter().flat_map(|(_, data)| data).collect()
    }
}

pub(crate) fn option_bytes(option: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"IHAVEOPT".to_vec();
    bytes.extend(option.to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    bytes
}

/// The data of INFO and GO.
pub(crate) fn wish(name: &str, asked: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((asked.len() as u16).to_be_bytes());
    data.extend(asked.iter().flat_map(|asked| asked.to_be_bytes()));
    data
}

pub(crate) fn request(command: u16, flags: u16, cookie: u64, range: (u64, u32)) -> Vec<u8> {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(command.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(range.0.to_be_bytes());
    bytes.extend(range.1.to_be_bytes());
    bytes
}

fn replies(option: u32, mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let from = &mut bytes;
    let mut replies = Vec::new();
    while !from.is_empty() {
        assert_eq!(number(from, 8), 0x0003_e889_0455_65a9);
        assert_eq!(number(from, 4), u64::from(option));
        let kind = number(from, 4) as u32;
        let length = number(from, 4) as usize;
        replies.push((kind, bytes_of(from, length)));
    }
    replies
}

pub(crate) fn number(from: &mut &[u8], length: usize) -> u64 {
    let bytes = bytes_of(from, length);
    bytes
        .into_iter()
        .fold(0, |all, byte| all << 8 | u64::from(byte))
}

fn bytes_of(from: &mut &[u8], length: usize) -> Vec<u8> {
    let (bytes, rest) = from.split_at(length);
    *from = rest;
    bytes.to_vec()
}
