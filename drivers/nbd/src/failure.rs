//! Why a client's connection ended.

use core::fmt;

use embedded_io_async::ErrorKind;

/// Why a connection ended other than by the client's own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client closed the stream without a word, perhaps in the middle of one.
    Disconnected,
    /// The stream failed.
    Stream(ErrorKind),
    /// What the client sent is not the protocol; in words.
    Protocol(&'static str),
    /// No export was chosen in time, or the client stopped in the middle of a message.
    Late,
    /// More clients choose an export now than there may be.
    Crowded,
    /// The client asked for an export that it cannot have, in a way that knows no refusal.
    Refused,
    /// The provider was lost; every request was answered.
    Lost,
    /// A read failed after its first bytes had been sent, which simple replies cannot say.
    TornRead,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the client disconnected"),
            Self::Stream(kind) => write!(f, "the stream failed: {kind:?}"),
            Self::Protocol(why) => write!(f, "not the protocol: {why}"),
            Self::Late => f.write_str("the client took too long"),
            Self::Crowded => f.write_str("too many clients at once"),
            Self::Refused => f.write_str("the export cannot be had"),
            Self::Lost => f.write_str("the provider was lost"),
            Self::TornRead => f.write_str("a read failed after a part of it was sent"),
        }
    }
}

impl core::error::Error for Fault {}
