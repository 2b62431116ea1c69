//! `ping`, `host` and `tcpdump`.

use alloc::string::String;
use core::time::Duration;

use super::options::options;
use super::{Misuse, Request, numbered, one};
use crate::number::{self, NumberError};

/// Echo requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PingRequest {
    /// To whom: a name or an address.
    pub host: String,
    /// How many.
    pub count: u64,
    /// Bytes of payload.
    pub size: usize,
    /// From one to the next.
    pub interval: Duration,
}

/// What ping(8) sends if nobody says.
const COUNT: u64 = 4;
const SIZE: u64 = 56;
const INTERVAL: u64 = 1000;
/// The longest payload that fits into an IPv4 packet.
const LONGEST: u64 = 65_507;
/// The longest interval, in milliseconds: an hour.
const RAREST: u64 = 3_600_000;

pub(crate) fn ping(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "c:s:i:")?;
    let (mut count, mut size, mut interval) = (COUNT, SIZE, INTERVAL);
    for (letter, value) in given {
        let value = value.unwrap_or_default();
        match letter {
            'c' => count = from_one(value, u64::MAX)?,
            's' => size = at_most(value, LONGEST)?,
            _ => interval = from_one(value, RAREST)?,
        }
    }
    Ok(Request::Ping(PingRequest {
        host: one(rest)?,
        count,
        size: usize::try_from(size).unwrap_or(usize::MAX),
        interval: Duration::from_millis(interval),
    }))
}

pub(crate) fn host(arguments: &[String]) -> Result<Request, Misuse> {
    one(arguments).map(Request::Host)
}

pub(crate) fn tcpdump(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "c:i:")?;
    let (mut count, mut interface) = (None, None);
    for (letter, value) in given {
        let value = value.unwrap_or_default();
        match letter {
            'c' => count = Some(from_one(value, u64::MAX)?),
            _ => interface = Some(value.into()),
        }
    }
    match rest {
        [] => Ok(Request::Tcpdump(count, interface)),
        _ => Err(Misuse::Count),
    }
}

fn at_most(text: &str, most: u64) -> Result<u64, Misuse> {
    let number = numbered(text, number::plain)?;
    if number > most {
        return Err(Misuse::Number(text.into(), NumberError::TooLarge));
    }
    Ok(number)
}

fn from_one(text: &str, most: u64) -> Result<u64, Misuse> {
    match at_most(text, most)? {
        0 => Err(Misuse::Option(text.into())),
        number => Ok(number),
    }
}
