//! The handshake: options are haggled over until an export is chosen.

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use geom::{Errno, Geom};

use crate::export::{Opened, Refusal, Served, Terms};
use crate::failure::Fault;
use crate::intake::Intake;
use crate::option::{
    CLIENT_FLAGS, FLAG_NO_ZEROES, HEADER_SIZE, Wish, ZEROES, answer, greeting, header, info, kind,
    reply,
};
use crate::outgoing::{Message, Outgoing};
use crate::wire::{MAX_PAYLOAD, take_u32};

/// Bytes of an option that are looked at: a name has at most 4,096.
const LOOKED_AT: u32 = 8 << 10;
/// Bytes of an option that are taken to refuse it. Of a longer one nothing good is to be expected.
const TAKEN: u32 = 1 << 20;
/// Options that one client may haggle over.
const OPTIONS: u32 = 256;
/// What most file systems and clients use, in bytes.
const PREFERRED_BLOCK: u32 = 4096;

/// A client that has chosen.
pub(crate) struct Chosen {
    pub(crate) opened: Opened,
    pub(crate) structured: bool,
}

/// What an option comes to.
enum Turn {
    /// The reply, and the next option.
    Next(Vec<u8>),
    /// The reply, and the end.
    Leave(Vec<u8>),
    /// The reply, and the transmission phase.
    Go(Vec<u8>, Opened),
}

/// One client's haggling.
pub(crate) struct Handshake<'server> {
    peer: IpAddr,
    geom: &'server Geom,
    exports: &'server [Served],
    no_zeroes: bool,
    structured: bool,
    /// The client has asked for the sizes of blocks, so it will keep to them.
    knows_blocks: bool,
}

impl<'server> Handshake<'server> {
    pub(crate) fn new(geom: &'server Geom, exports: &'server [Served], peer: IpAddr) -> Self {
        Self {
            peer,
            geom,
            exports,
            no_zeroes: false,
            structured: false,
            knows_blocks: false,
        }
    }

    /// Haggles; `None` if the client has left by its own word.
    ///
    /// # Errors
    /// The client does not speak the protocol, or cannot be refused in another way.
    pub(crate) async fn run(
        mut self,
        intake: &Intake,
        outgoing: &Rc<Outgoing>,
    ) -> Result<Option<Chosen>, Fault> {
        say(outgoing, greeting()).await;
        let flags = intake.exact(vec![0; 4]).await;
        let flags = take_u32(&mut flags.as_slice()).unwrap_or(u32::MAX);
        if flags & !CLIENT_FLAGS != 0 {
            return Err(Fault::Protocol("flags that were not offered"));
        }
        self.no_zeroes = flags & u32::from(FLAG_NO_ZEROES) != 0;
        for _ in 0..OPTIONS {
            let bytes = intake.exact(vec![0; HEADER_SIZE]).await;
            let (option, length) =
                header(&bytes).ok_or(Fault::Protocol("an option without its magic number"))?;
            if length > TAKEN || option == kind::EXPORT_NAME && length > LOOKED_AT {
                return Err(Fault::Protocol("an option of absurd length"));
            }
            let long = length > LOOKED_AT;
            let data = if long || option == kind::ABORT {
                skip(intake, length).await;
                Vec::new()
            } else {
                intake.exact(vec![0; length as usize]).await
            };
            let turn = if long && option != kind::ABORT {
                refuse(option, reply::ERR_TOO_BIG, "too long")
            } else {
                self.turn(option, &data)?
            };
            // A client may not send the next option before it has this reply; so what is to be sent
            // never grows.
            match turn {
                Turn::Next(bytes) => say(outgoing, bytes).await,
                Turn::Leave(bytes) => {
                    say(outgoing, bytes).await;
                    return Ok(None);
                }
                Turn::Go(bytes, opened) => {
                    say(outgoing, bytes).await;
                    let structured = self.structured;
                    return Ok(Some(Chosen { opened, structured }));
                }
            }
        }
        Err(Fault::Protocol("endless options"))
    }

    fn turn(&mut self, option: u32, data: &[u8]) -> Result<Turn, Fault> {
        let mut bytes = Vec::new();
        Ok(match option {
            kind::EXPORT_NAME => return self.export_name(data),
            kind::ABORT => {
                answer(&mut bytes, option, reply::ACK, &[]);
                Turn::Leave(bytes)
            }
            kind::LIST | kind::STRUCTURED_REPLY if !data.is_empty() => {
                refuse(option, reply::ERR_INVALID, "data where none may be")
            }
            kind::LIST => {
                for served in self.exports {
                    let name = served.export.name.as_bytes();
                    let mut server = (name.len() as u32).to_be_bytes().to_vec();
                    server.extend(name);
                    answer(&mut bytes, option, reply::SERVER, &server);
                }
                answer(&mut bytes, option, reply::ACK, &[]);
                Turn::Next(bytes)
            }
            kind::STRUCTURED_REPLY => {
                self.structured = true;
                answer(&mut bytes, option, reply::ACK, &[]);
                Turn::Next(bytes)
            }
            kind::INFO | kind::GO => match Wish::parse(data) {
                Some(wish) => self.info(option, &wish),
                None => refuse(option, reply::ERR_INVALID, "lengths that do not fit"),
            },
            _ => refuse(option, reply::ERR_UNSUP, ""),
        })
    }

    /// The old way to choose, which knows no refusal but to hang up.
    fn export_name(&self, name: &[u8]) -> Result<Turn, Fault> {
        let served = self.find(name).ok_or(Fault::Refused)?;
        let terms = served.look(self.geom).map_err(|_| Fault::Refused)?;
        if self.must_know_blocks(&terms) {
            return Err(Fault::Refused);
        }
        let opened = served
            .open(self.geom, self.peer)
            .map_err(|_| Fault::Refused)?;
        let mut bytes = opened.terms.size.to_be_bytes().to_vec();
        bytes.extend(opened.terms.flags(self.structured).to_be_bytes());
        if !self.no_zeroes {
            bytes.extend([0; ZEROES]);
        }
        Ok(Turn::Go(bytes, opened))
    }

    fn info(&mut self, option: u32, wish: &Wish<'_>) -> Turn {
        self.knows_blocks |= wish.block_size;
        let Some(served) = self.find(wish.name) else {
            return refuse(option, reply::ERR_UNKNOWN, "no such export");
        };
        // Looked at first: an open for writing has partitions forgotten and looked for anew.
        let terms = match served.look(self.geom) {
            Ok(terms) => terms,
            Err(why) => return refuse_export(option, &why),
        };
        if option == kind::INFO || self.must_know_blocks(&terms) {
            return Turn::Next(self.describe(option, wish, served, &terms));
        }
        match served.open(self.geom, self.peer) {
            Ok(opened) => {
                let bytes = self.describe(option, wish, served, &opened.terms);
                Turn::Go(bytes, opened)
            }
            Err(why) => refuse_export(option, &why),
        }
    }

    /// The replies about an export that can be had, and the last word on the option.
    fn describe(&self, option: u32, wish: &Wish<'_>, served: &Served, terms: &Terms) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut block = info::BLOCK_SIZE.to_be_bytes().to_vec();
        let preferred = terms.sector.max(PREFERRED_BLOCK);
        for size in [terms.sector, preferred, MAX_PAYLOAD] {
            block.extend(size.to_be_bytes());
        }
        answer(&mut bytes, option, reply::INFO, &block);
        if option == kind::GO && self.must_know_blocks(terms) {
            let why = b"this export has blocks of more than 512 bytes";
            answer(&mut bytes, option, reply::ERR_BLOCK_SIZE_REQD, why);
            return bytes;
        }
        if wish.canonical_name {
            let mut name = info::NAME.to_be_bytes().to_vec();
            name.extend(served.export.name.as_bytes());
            answer(&mut bytes, option, reply::INFO, &name);
        }
        let mut export = info::EXPORT.to_be_bytes().to_vec();
        export.extend(terms.size.to_be_bytes());
        export.extend(terms.flags(self.structured).to_be_bytes());
        answer(&mut bytes, option, reply::INFO, &export);
        answer(&mut bytes, option, reply::ACK, &[]);
        bytes
    }

    /// A client that was told nothing keeps to 512 bytes, as the protocol asks it to.
    fn must_know_blocks(&self, terms: &Terms) -> bool {
        !self.knows_blocks && terms.sector > 512
    }

    fn find(&self, name: &[u8]) -> Option<&'server Served> {
        let mut named = self.exports.iter();
        let found = named.find(|served| served.export.name.as_bytes() == name);
        found.or_else(|| self.exports.first().filter(|_| name.is_empty()))
    }
}

fn refuse(option: u32, kind: u32, why: &str) -> Turn {
    let mut bytes = Vec::new();
    answer(&mut bytes, option, kind, why.as_bytes());
    Turn::Next(bytes)
}

fn refuse_export(option: u32, why: &Refusal) -> Turn {
    match why {
        Refusal::Crowded => refuse(option, reply::ERR_POLICY, "too many clients have it"),
        Refusal::Open(error) => {
            let absent = matches!(error.errno, Errno::NotFound | Errno::NoDevice);
            let kind = if absent {
                reply::ERR_UNKNOWN
            } else {
                reply::ERR_POLICY
            };
            // Who else has it is not for every client to know.
            match error.errno {
                Errno::NotPermitted => refuse(option, kind, "it is in use"),
                other => refuse(option, kind, &other.to_string()),
            }
        }
    }
}

async fn say(outgoing: &Outgoing, head: Vec<u8>) {
    let message = Message {
        head,
        ..Message::default()
    };
    outgoing.push_and_wait(message).await;
}

async fn skip(intake: &Intake, length: u32) {
    let mut left = length;
    let mut scratch = Vec::new();
    while left > 0 {
        let piece = left.min(LOOKED_AT);
        scratch.resize(piece as usize, 0);
        scratch = intake.exact(scratch).await;
        left -= piece;
    }
}
