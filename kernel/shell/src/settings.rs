//! The kernel command line: `key=value` words, `extra=` in an xl config.
//!
//! Xen hands over at most 1023 bytes (`MAX_GUEST_CMDLINE` in xen.h). Words are cut and quoted as
//! [`words`] says. A word that means nothing is named in a warning and left alone: `xl`
//! itself adds some (`root=`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use blkback::target::{Declarations, Target};
use exec::Level;
use geom::class::md::MdParams;
use net::AddressSetting;

use crate::number;
use crate::table::{self, Action};
use crate::words;

/// The TCP port of the status page if none is given: HTTP's own.
const PAGE: u16 = 80;
/// The key whose value is not repeated.
const TOKEN: &str = "token";
/// A shorter token would be guessed.
const SHORTEST_TOKEN: usize = 8;

/// What the kernel command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Commands to run once the domain is ready.
    pub run: Option<String>,
    /// Which lines the log keeps.
    pub loglevel: Level,
    /// How long the run loop may stand still before Xen ends the domain; whole seconds.
    pub watchdog: Option<Duration>,
    /// How long GEOM waits for a disk's first reads before it goes on without them; whole seconds.
    pub taste_timeout: Option<Duration>,
    /// What the image's own program is told.
    pub app: String,
    /// Memory disks to make, in their order.
    pub mds: Vec<MdParams>,
    /// What may be exported.
    pub exports: Declarations,
    /// Where network interfaces get their addresses from.
    pub addresses: Vec<AddressSetting>,
    /// The TCP port of the status page; none if there is to be no page.
    pub page: Option<u16>,
    /// What whoever sends commands to the status page must know; none can be sent without.
    pub token: Option<String>,
    /// What NBD clients may have, in their order.
    pub nbd: Vec<NbdExport>,
}

/// A provider that NBD clients may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NbdExport {
    /// What clients call it.
    pub name: String,
    /// What it is, and whether it may be written.
    pub target: Target,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: None,
            loglevel: Level::Info,
            watchdog: None,
            taste_timeout: None,
            app: String::new(),
            mds: Vec::new(),
            exports: Declarations::default(),
            addresses: Vec::new(),
            page: Some(PAGE),
            token: None,
            nbd: Vec::new(),
        }
    }
}

/// What is odd about a command line. Each is a warning, none is fatal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// These words mean nothing here.
    Unknown(Vec<String>),
    /// The key's value is none it can take; the key was left as it is without it.
    BadValue {
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// The key came more than once; the last one counts.
    Repeated(&'static str),
    /// This quote was opened and not closed; it was taken to run to the end.
    OpenQuote(char),
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(words) => {
                f.write_str("unknown:")?;
                words
                    .iter()
                    .try_for_each(|word| write!(f, " {}", word.escape_debug()))
            }
            Self::BadValue { key, value, takes } => {
                write!(f, "{key}={}: takes {takes}", value.escape_debug())
            }
            Self::Repeated(key) => write!(f, "{key}= is given more than once, the last one counts"),
            Self::OpenQuote(quote) => write!(f, "a {quote} is not closed"),
        }
    }
}

/// How a key takes its value; `None` when it cannot.
pub type Set = fn(&mut Settings, &str) -> Option<()>;

impl Settings {
    /// Reads a command line. Whatever is in it, there are settings; what is odd is listed.
    #[must_use]
    pub fn parse(command_line: &str) -> (Self, Vec<Oddity>) {
        let mut settings = Self::default();
        let mut oddities = Vec::new();
        let mut unknown = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        let (words, open) = words::words(command_line);
        for word in words {
            let known = word.split_once('=').and_then(|(name, value)| {
                let (entry, set) = table::keys().find(|(entry, _)| entry.name == name)?;
                Some((entry, set, value))
            });
            let Some((entry, set, value)) = known else {
                unknown.push(word);
                continue;
            };
            let repeats = matches!(entry.action, Action::Key { repeats: true, .. });
            if seen.contains(&entry.name) && !repeats {
                oddities.push(Oddity::Repeated(entry.name));
            }
            seen.push(entry.name);
            if set(&mut settings, value).is_none() {
                // The log is for more eyes than a token is.
                let value = if entry.name == TOKEN { "..." } else { value };
                oddities.push(Oddity::BadValue {
                    key: entry.name,
                    value: value.into(),
                    takes: entry.arguments,
                });
            }
        }
        if !unknown.is_empty() {
            oddities.push(Oddity::Unknown(unknown));
        }
        oddities.extend(open.map(Oddity::OpenQuote));
        (settings, oddities)
    }
}

pub(crate) fn run(settings: &mut Settings, value: &str) -> Option<()> {
    settings.run = Some(value.into());
    Some(())
}

pub(crate) fn loglevel(settings: &mut Settings, value: &str) -> Option<()> {
    settings.loglevel = Level::parse(value)?;
    Some(())
}

/// `SCHEDOP_watchdog` takes 32 bits of seconds, and 0 arms nothing (sched.h).
pub(crate) fn watchdog(settings: &mut Settings, value: &str) -> Option<()> {
    settings.watchdog = Some(seconds(value)?);
    Some(())
}

pub(crate) fn taste_timeout(settings: &mut Settings, value: &str) -> Option<()> {
    settings.taste_timeout = Some(seconds(value)?);
    Some(())
}

pub(crate) fn app(settings: &mut Settings, value: &str) -> Option<()> {
    settings.app = value.into();
    Some(())
}

pub(crate) fn md(settings: &mut Settings, value: &str) -> Option<()> {
    let (label, size) = value.split_once(':')?;
    let size = number::bytes(size).ok().filter(|size| *size > 0)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if label.is_empty() || !label.chars().all(plain) {
        return None;
    }
    settings.mds.push(MdParams {
        label: label.into(),
        ..MdParams::new(size)
    });
    Some(())
}

pub(crate) fn export(settings: &mut Settings, value: &str) -> Option<()> {
    settings.exports.declare(value)
}

pub(crate) fn ip(settings: &mut Settings, value: &str) -> Option<()> {
    settings.addresses.push(AddressSetting::parse(value)?);
    Some(())
}

pub(crate) fn page(settings: &mut Settings, value: &str) -> Option<()> {
    settings.page = match value {
        "off" => None,
        port => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|&port: &u16| digits && port > 0);
            Some(port?)
        }
    };
    Some(())
}

pub(crate) fn token(settings: &mut Settings, value: &str) -> Option<()> {
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain || value.len() < SHORTEST_TOKEN {
        return None;
    }
    settings.token = Some(value.into());
    Some(())
}

pub(crate) fn nbd(settings: &mut Settings, value: &str) -> Option<()> {
    let (name, target) = value.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let known = settings.nbd.iter().any(|export| export.name == name);
    if name.is_empty() || known || !name.chars().all(plain) {
        return None;
    }
    let target = Target::parse(target).ok()?;
    settings.nbd.push(NbdExport {
        name: name.into(),
        target,
    });
    Some(())
}

/// Whole seconds, at least one.
fn seconds(value: &str) -> Option<Duration> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u32 = value
        .parse()
        .ok()
        .filter(|&seconds| digits && seconds > 0)?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests;
