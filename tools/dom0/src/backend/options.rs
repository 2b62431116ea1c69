//! The backend's command line.

use anyhow::{Context, Result};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;
use std::time::Duration;

/// How it is called.
pub const USAGE: &str = "\
usage: backend --domain ID --vdev NUMBER --disk FILE [OPTION]...
  --ring-order N       rings of up to 2^N pages (default 4)
  --indirect N         indirect requests of up to N segments (default 256; 0: none)
  --flush, --barrier   what makes writes durable (default: neither)
  --sector-size N      (default 512)
  --read-only
  --key KEY=VALUE      what the backend's directory says instead of the truth
  --states N,N...      goes through these states, then does nothing more
  --repeat N           goes through them N times
  --state-time MS      stays in each so long (default 5)
  --link PATH          what the frontend's node `backend` says instead of the truth
  --keep N             keeps the pages of the first N requests, and the ring, mapped
Orders, one a line, come from the standard input; at its end all nodes are removed.
";

/// The backend as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) domain: u32,
    pub(super) vdev: u32,
    pub(super) disk: PathBuf,
    pub(super) ring_order: u32,
    pub(super) indirect: u16,
    pub(super) flush: bool,
    pub(super) barrier: bool,
    pub(super) sector_size: u32,
    pub(super) read_only: bool,
    pub(super) keys: Vec<(String, String)>,
    pub(super) states: Vec<u32>,
    pub(super) repeat: usize,
    pub(super) state_time: Duration,
    pub(super) link: Option<String>,
    pub(super) keep: usize,
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// A word that is no option, a value that is none, and what must be there and is not.
    pub fn parse(mut parser: Parser) -> Result<Self> {
        let (mut domain, mut vdev, mut disk) = (None, None, None);
        let mut options = Self {
            domain: 0,
            vdev: 0,
            disk: PathBuf::new(),
            ring_order: 4,
            indirect: 256,
            flush: false,
            barrier: false,
            sector_size: 512,
            read_only: false,
            keys: Vec::new(),
            states: Vec::new(),
            repeat: 1,
            state_time: Duration::from_millis(5),
            link: None,
            keep: 0,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("domain") => domain = Some(parser.value()?.parse()?),
                Arg::Long("vdev") => vdev = Some(parser.value()?.parse()?),
                Arg::Long("disk") => disk = Some(parser.value()?.into()),
                Arg::Long("ring-order") => options.ring_order = parser.value()?.parse()?,
                Arg::Long("indirect") => options.indirect = parser.value()?.parse()?,
                Arg::Long("flush") => options.flush = true,
                Arg::Long("barrier") => options.barrier = true,
                Arg::Long("sector-size") => options.sector_size = parser.value()?.parse()?,
                Arg::Long("read-only") => options.read_only = true,
                Arg::Long("key") => {
                    let text = parser.value()?.string()?;
                    let (key, value) = text.split_once('=').context("--key wants KEY=VALUE")?;
                    options.keys.push((key.to_owned(), value.to_owned()));
                }
                Arg::Long("states") => {
                    let text = parser.value()?.string()?;
                    let states = text.split(',').map(str::parse);
                    options.states = states.collect::<Result<_, _>>().context(text.clone())?;
                }
                Arg::Long("repeat") => options.repeat = parser.value()?.parse()?,
                Arg::Long("state-time") => {
                    options.state_time = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Long("link") => options.link = Some(parser.value()?.string()?),
                Arg::Long("keep") => options.keep = parser.value()?.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        options.domain = domain.context("--domain is missing")?;
        options.vdev = vdev.context("--vdev is missing")?;
        options.disk = disk.context("--disk is missing")?;
        Ok(options)
    }
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
            "--domain 3 --vdev 51728 --disk /run/d --ring-order 0 --indirect 0 --barrier \
             --key sectors=0 --key x=a=b --states 2,4 --repeat 500",
        )
        .unwrap();
        assert_eq!((options.domain, options.vdev), (3, 51728));
        assert_eq!((options.ring_order, options.indirect), (0, 0));
        assert!(options.barrier && !options.flush);
        assert_eq!(options.keys[1], ("x".into(), "a=b".into()));
        assert_eq!((options.states, options.repeat), (vec![2, 4], 500));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let all = "--domain 3 --vdev 51728 --disk /run/d";
        assert!(parse(all).is_ok());
        for wrong in [
            "--key x",
            "--states 2,x",
            "--domain",
            "--what",
            "word",
            "--keep -1",
        ] {
            assert!(parse(&format!("{all} {wrong}")).is_err(), "{wrong}");
        }
        assert!(parse("--domain 3 --vdev 51728").is_err());
    }
}
