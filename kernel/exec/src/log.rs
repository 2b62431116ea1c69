//! The ring of log lines behind the console and `dmesg`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::{Cell, RefCell};
use core::fmt;

use hv::Instant;

use crate::limit::{Limits, Verdict};
use crate::notify::Notify;

/// Lines kept for `dmesg`.
const LINES: usize = 512;
/// Longest text of a line, in bytes; the rest is cut.
const LINE_BYTES: usize = 400;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be, and was coped with.
    Warn,
    /// What an administrator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
}

impl Level {
    /// The level called `name`: `error`, `warn`, `info` or `debug`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Self::Error),
            "warn" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "debug" => Some(Self::Debug),
            _ => None,
        }
    }
}

/// A line of the log; displays as `[    0.001234] part: text`.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line's number, counted from 0 and never used again.
    pub number: u64,
    /// When it was written.
    pub at: Instant,
    /// How much it matters.
    pub level: Level,
    /// Who wrote it: a driver, a device.
    pub part: String,
    /// What it says, without control characters.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info | Level::Debug => "",
        };
        write!(f, "[{}] {}: {mark}{}", self.at, self.part, self.text)
    }
}

/// A handle to the log; clones write to the same one.
#[derive(Clone)]
pub struct Log {
    inner: Rc<Inner>,
}

struct Inner {
    clock: Box<dyn Fn() -> Instant>,
    level: Cell<Level>,
    lines: RefCell<VecDeque<Rc<Line>>>,
    next: Cell<u64>,
    limits: RefCell<Limits>,
    written: Notify,
}

impl Log {
    /// An empty log whose lines are stamped by `clock`. Shows `Info` and more important lines.
    pub fn new(clock: impl Fn() -> Instant + 'static) -> Self {
        let inner = Inner {
            clock: Box::new(clock),
            level: Cell::new(Level::Info),
            lines: RefCell::new(VecDeque::with_capacity(LINES)),
            next: Cell::new(0),
            limits: RefCell::default(),
            written: Notify::new(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Keeps lines of `level` and more important ones from now on.
    pub fn set_level(&self, level: Level) {
        self.inner.level.set(level);
    }

    /// The least important lines that are kept.
    #[must_use]
    pub fn level(&self) -> Level {
        self.inner.level.get()
    }

    /// Writes a line. Control characters in it become `?`, so that nothing a peer wrote can move an
    /// administrator's cursor.
    pub fn write(&self, level: Level, part: &str, text: fmt::Arguments<'_>) {
        if level <= self.inner.level.get() {
            self.append(level, part, text);
        }
    }

    /// Writes a line that a peer can cause at will: at most a few per part in ten seconds, then one
    /// that says how many were suppressed.
    pub fn limited(&self, level: Level, part: &str, text: fmt::Arguments<'_>) {
        self.limited_by(part, level, part, text);
    }

    /// The same for one of the things that `part` speaks of, named by `key`: they do not silence
    /// each other.
    pub fn limited_by(&self, key: &str, level: Level, part: &str, text: fmt::Arguments<'_>) {
        if level > self.inner.level.get() {
            return;
        }
        let verdict = self
            .inner
            .limits
            .borrow_mut()
            .ask(key, (self.inner.clock)());
        match verdict {
            Verdict::Speak { suppressed: 0 } => self.append(level, part, text),
            Verdict::Speak { suppressed } => {
                self.append(
                    level,
                    part,
                    format_args!("{suppressed} lines were suppressed"),
                );
                self.append(level, part, text);
            }
            Verdict::Silent => {}
        }
    }

    fn append(&self, level: Level, part: &str, text: fmt::Arguments<'_>) {
        let mut text: String = format!("{text}")
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        if text.len() > LINE_BYTES {
            let end = (0..=LINE_BYTES)
                .rev()
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(0);
            text.truncate(end);
            text.push_str("...");
        }
        let number = self.inner.next.get();
        let at = (self.inner.clock)();
        let line = Rc::new(Line {
            number,
            at,
            level,
            part: String::from(part),
            text,
        });
        self.inner.next.set(number + 1);
        let mut lines = self.inner.lines.borrow_mut();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.inner.written.notify();
    }

    /// The first line kept whose number is `number` or higher. A gap between the two says that the
    /// lines between them were overwritten.
    #[must_use]
    pub fn line_from(&self, number: u64) -> Option<Rc<Line>> {
        let lines = self.inner.lines.borrow();
        let first = lines.front()?.number;
        let index = usize::try_from(number.saturating_sub(first)).ok()?;
        lines.get(index).cloned()
    }

    /// The lines from there on, as long as there are any: also those that are written meanwhile.
    pub fn lines_from(&self, number: u64) -> impl Iterator<Item = Rc<Line>> {
        let mut next = number;
        core::iter::from_fn(move || {
            let line = self.line_from(next)?;
            next = line.number + 1;
            Some(line)
        })
    }

    /// Waits until a line has been written since the last wait. For one reader: the console.
    pub async fn written(&self) {
        self.inner.written.notified().await;
    }
}

/// Writes an error line: `error!(log, "xbd0", "cannot map {}", x)`.
#[macro_export]
macro_rules! error {
    ($log:expr, $part:expr, $($text:tt)+) => {
        $log.write($crate::Level::Error, $part, format_args!($($text)+))
    };
}

/// Writes a warning line.
#[macro_export]
macro_rules! warn {
    ($log:expr, $part:expr, $($text:tt)+) => {
        $log.write($crate::Level::Warn, $part, format_args!($($text)+))
    };
}

/// Writes an information line.
#[macro_export]
macro_rules! info {
    ($log:expr, $part:expr, $($text:tt)+) => {
        $log.write($crate::Level::Info, $part, format_args!($($text)+))
    };
}

/// Writes a debug line.
#[macro_export]
macro_rules! debug {
    ($log:expr, $part:expr, $($text:tt)+) => {
        $log.write($crate::Level::Debug, $part, format_args!($($text)+))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: &Log) -> Vec<String> {
        log.lines_from(0).map(|line| line.to_string()).collect()
    }

    #[test]
    fn a_line_prints_as_a_boot_log_does() {
        let log = Log::new(|| Instant(1_234_000));
        info!(log, "boot", "{} pages", 3);
        warn!(log, "xbd0", "odd");
        debug!(log, "xbd0", "not shown at this level");
        assert_eq!(
            lines(&log),
            [
                "[    0.001234] boot: 3 pages",
                "[    0.001234] xbd0: warning: odd"
            ]
        );
    }

    #[test]
    fn what_a_peer_wrote_cannot_move_the_cursor_nor_fill_memory() {
        let log = Log::new(|| Instant(0));
        info!(log, "x", "a\x1b[2Jb\r\n");
        info!(log, "x", "{}", "ä".repeat(1000));
        assert_eq!(log.line_from(0).unwrap().text, "a?[2Jb??");
        assert_eq!(log.line_from(1).unwrap().text.len(), LINE_BYTES + 3);
    }

    #[test]
    fn old_lines_give_way_and_the_gap_shows() {
        let log = Log::new(|| Instant(0));
        for number in 0..LINES + 5 {
            info!(log, "x", "{number}");
        }
        assert_eq!(log.line_from(0).unwrap().number, 5);
        assert!(log.line_from(LINES as u64 + 5).is_none());
    }

    #[test]
    fn c13_a_flood_of_lines_is_limited_per_part() {
        let clock = Rc::new(Cell::new(Instant(0)));
        let now = clock.clone();
        let log = Log::new(move || now.get());
        for _ in 0..1000 {
            log.limited(Level::Warn, "xbd0", format_args!("bad id"));
        }
        assert!(lines(&log).len() <= 10);
        log.limited(Level::Warn, "xbd1", format_args!("bad id"));
        assert!(
            lines(&log).last().unwrap().contains("xbd1"),
            "parts do not silence each other"
        );
        clock.set(Instant(11_000_000_000));
        log.limited(Level::Warn, "xbd0", format_args!("bad id"));
        let all = lines(&log);
        assert!(all[all.len() - 2].contains("lines were suppressed"));
    }
}
