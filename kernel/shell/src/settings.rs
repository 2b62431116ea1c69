//! The kernel command line: `key=value` words, `extra=` in an xl config.
//!
//! Xen hands over at most 1023 bytes (`MAX_GUEST_CMDLINE` in xen.h). Words are cut and quoted as
//! [`words`] says. A word that means nothing is named in a warning and left alone: `xl`
//! itself adds some (`root=`).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use blkback::target::Declarations;
use exec::Level;
use geom::class::md::MdParams;

use crate::number;
use crate::table::{self, Action};
use crate::words;

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
    /// Memory disks to make, in their order.
    pub mds: Vec<MdParams>,
    /// What may be exported.
    pub exports: Declarations,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run: None,
            loglevel: Level::Info,
            watchdog: None,
            taste_timeout: None,
            mds: Vec::new(),
            exports: Declarations::default(),
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
