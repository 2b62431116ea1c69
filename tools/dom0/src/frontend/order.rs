//! What the frontend is told on its standard input: one order a line.
//!
//! Each is answered on the standard output by a line `ok` and what there is to say, or `failed` and
//! why; before that come its responses, if any, a line each:
//!
//! ```text
//! response queue=Q id=ID operation=N status=N padding=zero|kept|dirty
//! ```
//!
//! Padding is what no field has; it is kept if it is what the request had there. Numbers are
//! decimal. MS limits how long the order takes, in milliseconds. In xenstore:
//!
//! ```text
//! attach                     makes the nodes of both ends, as libxl does
//! connect [MS]               goes through the states as it should; says what the backend offers
//! publish [CHANGE]...        says where the rings are, all at once, and that it is Initialised;
//!                            the rings are empty then. A CHANGE is KEY=VALUE, KEY=@OTHER (what
//!                            the truth says of OTHER) or -KEY (and all below it); `state` is a
//!                            key like others
//! wait STATE,... [MS]        waits until the backend is in such a state; `gone`: has no directory
//! state N, set KEY [VALUE], unset KEY    a node of the frontend's directory
//! tell KEY [VALUE]           a node of the backend's directory, as the toolstack writes it
//! read KEY                   a node of the backend's directory
//! flood KEY VALUE,... TIMES [MICROSECONDS]    writes a node in turns, with a pause after each
//! close [MS]                 closes as it should: Closing, Closed when the backend is too
//! detach [silent] [MS]       what `xl block-detach` does; `silent`: the frontend does not follow
//! force [MS]                 what `xl block-detach --force` does, and a domain's end
//! vanish                     both directories go at once
//! ```
//!
//! Pages are `pN`, or `pN..M` without M; PARTS are pages, or references `gN`, with `:FIRST-LAST` if
//! it is not all sectors, with commas:
//!
//! ```text
//! grant COUNT [ro] [to=DOMAIN]    more pages; says which
//! fill PARTS SEED SECTOR     the pattern of the disk's sectors from SECTOR on
//! check PARTS SEED SECTOR    whether it is there
//! byte PARTS VALUE           this byte everywhere
//! sum PARTS                  SHA-256 of what is there
//! poke PAGES|ring OFFSET HEX [queue=Q]    other bytes
//! revoke PAGES|ring [queue=Q]    ends the grant, also under requests
//! ```
//!
//! Rings; `queue=Q` says which if it is not the first one:
//!
//! ```text
//! push REQUEST               writes an entry; the backend is not told
//! submit                     tells it of all that was pushed
//! send REQUEST               both
//! take [COUNT|all] [MS]      waits for responses, of all queues
//! quiet MS                   no response may come meanwhile
//! jump BY, prod INDEX        moves req_prod, by so much or there, and sends an event
//! event INDEX                moves rsp_event
//! storm COUNT [MICROSECONDS] sends events without a reason, with a pause after each
//! indices                    says where all indices are
//! unbind                     closes the event channel's port
//! port DOMAIN                a new port to which only this domain may bind; says which
//! renew [abi=64|32] [ring-order=N] [queues=N]    new rings and ports
//! work SEED [read] [discard] [first=SECTOR] [count=SECTORS] [depth=N] [indirect=N]
//! ```
//!
//! `work` writes a range in requests of all kinds, flushes if it can, and reads it back; it says
//! how many requests of which kind there were, and the worst padding. A dirty one is a failure.
//!
//! A REQUEST is `op=read|write|barrier|flush|discard|indirect|N`, `id=`, `sector=`, `seg=PARTS`,
//! `nr=` (what nr_segments says, if not the truth), `handle=`; `iop=` and `lists=PARTS` if it is
//! indirect (lists that are pages are written); `flag=` and `sectors=` if it is a discard; or
//! `raw=HEX`, an entry's bytes. `times=N`: N of them, whose ids count up. `force`: also where the
//! ring has no room.

pub(super) mod memory;
pub(super) mod place;
pub(super) mod request;
pub(super) mod traffic;
pub(super) mod word;

use anyhow::{Result, bail};
use memory::Memory;
use place::Place;
use traffic::Traffic;
use word::Words;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Place(Place),
    Memory(Memory),
    Traffic(Traffic),
}

impl Order {
    pub(super) fn parse(line: &str) -> Result<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(order) = Place::parse(word, line)? {
            return Ok(Self::Place(order));
        }
        let mut words = Words::new(rest);
        let order = if let Some(order) = Memory::parse(word, &mut words)? {
            Self::Memory(order)
        } else if let Some(order) = Traffic::parse(word, &mut words)? {
            Self::Traffic(order)
        } else {
            bail!("no such order: {line:?}");
        };
        words.end()?;
        Ok(order)
    }
}

#[cfg(test)]
mod tests;
