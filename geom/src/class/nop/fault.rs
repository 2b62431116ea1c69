//! What goes wrong, how often, and where.

use core::fmt;
use core::ops::Range;
use core::time::Duration;

use crate::bio::Command;
use crate::errno::Errno;

/// The rate of what happens always.
pub const MILLION: u32 = 1_000_000;

/// What happens to some requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// To which command; `None` for all.
    pub command: Option<Command>,
    /// To those that touch one of these bytes, counted from the start of the NOP; `None` for all.
    /// A flush touches none.
    pub range: Option<Range<u64>>,
    /// To so many of a [`MILLION`] of them, at random.
    pub rate: u32,
    /// What.
    pub effect: Effect,
}

/// What a [`Fault`] does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails and does not reach the provider below.
    Fail(Errno),
    /// It is held for so long before anything else happens to it. Delays add up.
    Delay(Duration),
}

impl Fault {
    /// Whether it is about that request, before chance decides.
    pub(super) fn concerns(&self, command: Command, offset: u64, length: u64) -> bool {
        let touches = |range: &Range<u64>| range.start < offset + length && offset < range.end;
        self.command.is_none_or(|own| own == command) && self.range.as_ref().is_none_or(touches)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => write!(f, "{command:?}")?,
            None => f.write_str("All")?,
        }
        if let Some(range) = &self.range {
            write!(f, " {}..{}", range.start, range.end)?;
        }
        let (whole, rest) = (self.rate / 10_000, self.rate % 10_000);
        match rest {
            0 => write!(f, " {whole}%")?,
            _ => write!(f, " {whole}.{rest:04}%")?,
        }
        match self.effect {
            Effect::Fail(errno) => write!(f, " {errno}"),
            Effect::Delay(time) => write!(f, " {} ms", time.as_millis()),
        }
    }
}
