//! The frontend's command line.

use super::slot::Abi;
use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

/// How it is called.
pub const USAGE: &str = "\
usage: frontend --backend ID --vdev NUMBER [OPTION]...
  --params TEXT      what the backend is to serve
  --mode w|r         whether that may be written (default w)
  --abi 64|32        the layout of the ring's entries (default 64)
  --ring-order N     rings of 2^N pages (default 0)
  --legacy-keys      says num-ring-pages instead of ring-page-order
  --queues N         (default 1)
  --persistent       says feature-persistent
  --pages N          pages for data (default 32)
  --back KEY=VALUE   another node, or value, in the backend's directory
  --front KEY=VALUE  the same in the frontend's
Orders, one a line, come from the standard input; at its end all nodes are removed.
";

/// Rings have up to this many pages, by their order; gntalloc gives no more by default.
const MAX_RING_ORDER: u32 = 8;

/// The frontend as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) backend: u32,
    pub(super) vdev: u32,
    pub(super) params: String,
    pub(super) mode: String,
    pub(super) shape: Shape,
    pub(super) pages: u32,
    pub(super) back: Vec<(String, String)>,
    pub(super) front: Vec<(String, String)>,
    /// Is the second process, which removes what the first one leaves.
    pub(super) sweep: bool,
}

/// How the rings are, and what is said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) abi: Abi,
    pub(super) ring_order: u32,
    pub(super) legacy_keys: bool,
    pub(super) queues: u32,
    pub(super) persistent: bool,
}

impl Shape {
    /// Takes another order of the rings, if that can be.
    pub(super) fn set_ring_order(&mut self, order: u32) -> Result<()> {
        if order > MAX_RING_ORDER {
            bail!("a ring of 2^{order} pages is more than there can be");
        }
        self.ring_order = order;
        Ok(())
    }

    /// Takes another count of queues, if that can be.
    pub(super) fn set_queues(&mut self, queues: u32) -> Result<()> {
        if !(1..=64).contains(&queues) {
            bail!("{queues} queues: 1 to 64 can be");
        }
        self.queues = queues;
        Ok(())
    }
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// A word that is no option, a value that is none, and what must be there and is not.
    pub fn parse(mut parser: Parser) -> Result<Self> {
        let (mut backend, mut vdev) = (None, None);
        let mut options = Self {
            backend: 0,
            vdev: 0,
            params: String::new(),
            mode: "w".to_owned(),
            shape: Shape {
                abi: Abi::X86_64,
                ring_order: 0,
                legacy_keys: false,
                queues: 1,
                persistent: false,
            },
            pages: 32,
            back: Vec::new(),
            front: Vec::new(),
            sweep: false,
        };
        let shape = &mut options.shape;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("backend") => backend = Some(parser.value()?.parse()?),
                Arg::Long("vdev") => vdev = Some(parser.value()?.parse()?),
                Arg::Long("params") => options.params = parser.value()?.string()?,
                Arg::Long("mode") => options.mode = parser.value()?.string()?,
                Arg::Long("abi") => shape.abi = parser.value()?.string()?.parse()?,
                Arg::Long("ring-order") => shape.set_ring_order(parser.value()?.parse()?)?,
                Arg::Long("legacy-keys") => shape.legacy_keys = true,
                Arg::Long("queues") => shape.set_queues(parser.value()?.parse()?)?,
                Arg::Long("persistent") => shape.persistent = true,
                Arg::Long("pages") => options.pages = parser.value()?.parse()?,
                Arg::Long("back") => options.back.push(pair(&mut parser)?),
                Arg::Long("front") => options.front.push(pair(&mut parser)?),
                Arg::Long("sweep") => options.sweep = true,
                other => return Err(other.unexpected().into()),
            }
        }
        options.backend = backend.context("--backend is missing")?;
        options.vdev = vdev.context("--vdev is missing")?;
        Ok(options)
    }
}

fn pair(parser: &mut Parser) -> Result<(String, String)> {
    let text = parser.value()?.string()?;
    let (key, value) = text
        .split_once('=')
        .with_context(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        Options::parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn a_command_line_is_read() {
        let options = parse(
            "--backend 3 --vdev 51728 --params md0,ro --mode r --abi 32 --ring-order 4 --queues 2 \
             --back physical-device=7:0 --back x=a=b --front trusted=0",
        )
        .unwrap();
        assert_eq!((options.backend, options.vdev), (3, 51728));
        assert_eq!(
            (options.params.as_str(), options.mode.as_str()),
            ("md0,ro", "r")
        );
        assert_eq!(options.shape.abi, Abi::X86_32);
        assert_eq!((options.shape.ring_order, options.shape.queues), (4, 2));
        assert_eq!(options.back[1], ("x".into(), "a=b".into()));
        assert_eq!(options.front.len(), 1);
        assert!(!options.sweep && !options.shape.persistent && !options.shape.legacy_keys);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let all = "--backend 3 --vdev 51728";
        assert!(parse(all).is_ok());
        for wrong in [
            "--back x",
            "--abi 16",
            "--ring-order 9",
            "--queues 0",
            "--queues 65",
            "--params",
            "--what",
            "word",
        ] {
            assert!(parse(&format!("{all} {wrong}")).is_err(), "{wrong}");
        }
        assert!(parse("--vdev 51728").is_err());
    }
}
