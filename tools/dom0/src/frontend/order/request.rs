//! `push` and `send`: requests, true or not.

use super::word::{Part, Words, bytes, parts};
use anyhow::{Context, Result, bail};
use xen_abi::io::blkif::{
    MAX_INDIRECT_PAGES_PER_REQUEST, OP_DISCARD, OP_FLUSH_DISKCACHE, OP_INDIRECT, OP_READ, OP_WRITE,
    OP_WRITE_BARRIER,
};

/// What is to be put into the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) queue: usize,
    /// So many of them, with ids that count up.
    pub(crate) times: u32,
    /// Also where there is no room.
    pub(crate) force: bool,
    pub(crate) content: Content,
}

/// An entry's bytes, or what they are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Raw(Vec<u8>),
    Fields(Fields),
}

/// What was said of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) operation: u8,
    pub(crate) id: u64,
    pub(crate) sector: u64,
    pub(crate) handle: u16,
    pub(crate) segments: Vec<Part>,
    /// What `nr_segments` says, if not the truth.
    pub(crate) count: Option<u16>,
    /// Of an indirect request: its operation, and the pages of its segments.
    pub(crate) inner: u8,
    pub(crate) lists: Vec<Part>,
    /// Of a discard.
    pub(crate) flag: u8,
    pub(crate) sectors: u64,
}

impl Request {
    pub(crate) fn parse(words: &mut Words<'_>) -> Result<Self> {
        let force = words.takes("force");
        let content = match words.named_text("raw") {
            Some(text) => Content::Raw(bytes(text)?),
            None => Content::Fields(Fields::parse(words)?),
        };
        Ok(Self {
            queue: words.named("queue")?.unwrap_or(0),
            times: words.named("times")?.unwrap_or(1),
            force,
            content,
        })
    }
}

impl Fields {
    fn parse(words: &mut Words<'_>) -> Result<Self> {
        let operation = words.named_text("op").context("op= is missing")?;
        let listed = |text: Option<&str>| text.map_or_else(|| Ok(Vec::new()), parts);
        let fields = Self {
            operation: operation_of(operation)?,
            id: words.named("id")?.unwrap_or(0),
            sector: words.named("sector")?.unwrap_or(0),
            handle: words.named("handle")?.unwrap_or(0),
            segments: listed(words.named_text("seg"))?,
            count: words.named("nr")?,
            inner: operation_of(words.named_text("iop").unwrap_or("read"))?,
            lists: listed(words.named_text("lists"))?,
            flag: words.named("flag")?.unwrap_or(0),
            sectors: words.named("sectors")?.unwrap_or(0),
        };
        if fields.lists.len() > MAX_INDIRECT_PAGES_PER_REQUEST {
            bail!("an entry names no more than {MAX_INDIRECT_PAGES_PER_REQUEST} lists");
        }
        if fields.operation != OP_INDIRECT && fields.count.is_some_and(|count| count > 255) {
            bail!("nr= is a byte here");
        }
        Ok(fields)
    }
}

/// An operation by its name or number.
fn operation_of(word: &str) -> Result<u8> {
    Ok(match word {
        "read" => OP_READ,
        "write" => OP_WRITE,
        "barrier" => OP_WRITE_BARRIER,
        "flush" => OP_FLUSH_DISKCACHE,
        "discard" => OP_DISCARD,
        "indirect" => OP_INDIRECT,
        number => number
            .parse()
            .with_context(|| format!("{number:?} is no operation"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::word::Reference;
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        let mut words = Words::new(line);
        let request = Request::parse(&mut words)?;
        words.end()?;
        Ok(request)
    }

    fn fields(line: &str) -> Fields {
        match parse(line).unwrap().content {
            Content::Fields(fields) => fields,
            Content::Raw(bytes) => panic!("{bytes:?}"),
        }
    }

    #[test]
    fn a_request_is_read() {
        let line = "op=write id=18446744073709551615 sector=9 seg=p1:0-3,g7 handle=5 nr=255";
        let write = fields(line);
        assert_eq!(
            (write.operation, write.id, write.sector, write.handle),
            (OP_WRITE, u64::MAX, 9, 5)
        );
        assert_eq!((write.segments.len(), write.count), (2, Some(255)));
        let indirect = fields("op=indirect iop=write nr=4097 seg=p0..32 lists=p40,g0");
        assert_eq!(
            (indirect.operation, indirect.inner, indirect.count),
            (OP_INDIRECT, OP_WRITE, Some(4097))
        );
        assert_eq!(indirect.lists[1].reference, Reference::Grant(0));
        let discard = fields("op=discard flag=1 sectors=18446744073709551615");
        assert_eq!((discard.flag, discard.sectors), (1, u64::MAX));
        assert_eq!(fields("op=255").operation, 255);
    }

    #[test]
    fn how_it_is_put_is_read() {
        let request = parse("force raw=00ff queue=1 times=9").unwrap();
        assert_eq!((request.queue, request.times, request.force), (1, 9, true));
        assert_eq!(request.content, Content::Raw(vec![0, 255]));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in [
            "",
            "op=256",
            "op=reads",
            "op=read nr=256",
            "op=read seg=",
            "op=read id=-1",
            "op=read more=1",
            "op=indirect lists=p0..9",
            "raw=0",
            "op=read now",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
