//! How often one part may speak.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use hv::Instant;

/// Lines a part may write in one window.
const LINES_A_WINDOW: u32 = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);
/// Parts remembered. A peer can bring up many devices, but not make this table grow.
const PARTS: usize = 256;

#[derive(Default)]
pub(crate) struct Limits {
    parts: BTreeMap<String, Window>,
}

struct Window {
    since: Instant,
    lines: u32,
    suppressed: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Speak { suppressed: u64 },
    Silent,
}

impl Limits {
    pub(crate) fn ask(&mut self, part: &str, now: Instant) -> Verdict {
        if let Some(window) = self.parts.get_mut(part) {
            return window.ask(now);
        }
        if self.parts.len() >= PARTS {
            self.parts
                .retain(|_, window| now.since(window.since) < WINDOW);
            if self.parts.len() >= PARTS {
                return Verdict::Silent;
            }
        }
        let window = Window {
            since: now,
            lines: 1,
            suppressed: 0,
        };
        self.parts.insert(String::from(part), window);
        Verdict::Speak { suppressed: 0 }
    }
}

impl Window {
    fn ask(&mut self, now: Instant) -> Verdict {
        if now.since(self.since) >= WINDOW {
            let suppressed = self.suppressed;
            *self = Self {
                since: now,
                lines: 1,
                suppressed: 0,
            };
            return Verdict::Speak { suppressed };
        }
        if self.lines < LINES_A_WINDOW {
            self.lines += 1;
            return Verdict::Speak { suppressed: 0 };
        }
        self.suppressed += 1;
        Verdict::Silent
    }
}
