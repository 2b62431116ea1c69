//! `mdconfig`, `gnop` and `gzero`: disks that are made on request.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use geom::Errno;
use geom::class::md::MdParams;
use geom::class::nop::{Effect, Fault, MILLION, NopParams};
use geom::class::zero::ZERO_SIZE;
use geom::disk::Command;

use super::options::options;
use super::{Misuse, Request, numbered, one};
use crate::number::{self, NumberError};

/// Where chance starts if nobody says.
const SEED: u64 = 1;

/// What `gnop -e` knows.
const ERRORS: [Errno; 5] = [
    Errno::Io,
    Errno::NoDevice,
    Errno::NoSpace,
    Errno::NotSupported,
    Errno::ReadOnly,
];

pub(crate) fn md_attach(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "s:S:u:L:o:")?;
    let mut params = MdParams::new(0);
    for (letter, value) in given {
        let value = value.unwrap_or_default();
        match letter {
            's' => params.size = numbered(value, number::bytes)?,
            'S' => params.sector_size = narrow(value, number::bytes)?,
            'u' => params.unit = Some(small(value)?),
            'L' => params.label = value.into(),
            _ if value == "reserve" => params.reserve = true,
            _ => return Err(Misuse::Option(value.into())),
        }
    }
    if params.size == 0 || !rest.is_empty() {
        return Err(Misuse::Count);
    }
    Ok(Request::MdAttach(params))
}

pub(crate) fn md_detach(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "u:o:")?;
    let (mut name, mut force) = (None, false);
    for (letter, value) in given {
        let value = value.unwrap_or_default();
        match letter {
            'u' => {
                let unit = value.strip_prefix("md").unwrap_or(value);
                name = Some(alloc::format!("md{}", small(unit)?));
            }
            _ if value == "force" => force = true,
            _ => return Err(Misuse::Option(value.into())),
        }
    }
    let name = name.filter(|_| rest.is_empty()).ok_or(Misuse::Count)?;
    Ok(Request::MadeDestroy("MD", name, force))
}

pub(crate) fn zero_create(arguments: &[String]) -> Result<Request, Misuse> {
    match arguments {
        [] => Ok(Request::ZeroCreate(ZERO_SIZE)),
        [size] => Ok(Request::ZeroCreate(numbered(size, number::bytes)?)),
        _ => Err(Misuse::Count),
    }
}

pub(crate) fn zero_destroy(arguments: &[String]) -> Result<Request, Misuse> {
    destroy("ZERO", arguments)
}

pub(crate) fn nop_destroy(arguments: &[String]) -> Result<Request, Misuse> {
    destroy("NOP", arguments)
}

fn destroy(class: &'static str, arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "f")?;
    let name = one(rest)?;
    Ok(Request::MadeDestroy(class, name, !given.is_empty()))
}

pub(crate) fn nop_create(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "r:w:q:x:d:e:b:R:o:s:")?;
    let mut params = NopParams {
        seed: SEED,
        ..NopParams::default()
    };
    for (letter, value) in &given {
        let value = value.unwrap_or_default();
        match letter {
            'o' => params.offset = numbered(value, number::bytes)?,
            's' => params.size = Some(numbered(value, number::bytes)?),
            'R' => params.seed = numbered(value, number::plain)?,
            _ => {}
        }
    }
    params.faults = faults(&given)?;
    Ok(Request::NopCreate(one(rest)?, params))
}

pub(crate) fn nop_configure(arguments: &[String]) -> Result<Request, Misuse> {
    let (given, rest) = options(arguments, "r:w:q:x:d:e:b:")?;
    Ok(Request::NopConfigure(one(rest)?, faults(&given)?))
}

pub(crate) fn nop_reset(arguments: &[String]) -> Result<Request, Misuse> {
    one(arguments).map(Request::NopReset)
}

/// What the options of gnop(8) say that is to go wrong, with `-b` for the bytes it is about.
fn faults(given: &[(char, Option<&str>)]) -> Result<Vec<Fault>, Misuse> {
    let (mut errno, mut delay, mut range) = (Errno::Io, Duration::from_millis(1), None);
    for (letter, value) in given {
        let value = value.unwrap_or_default();
        match letter {
            'e' => errno = error(value)?,
            'd' => delay = Duration::from_millis(small(value)?.into()),
            'b' => range = Some(bytes(value)?),
            _ => {}
        }
    }
    let mut faults = Vec::new();
    for (letter, value) in given {
        let (command, effect) = match letter {
            'r' => (Command::Read, Effect::Fail(errno)),
            'w' => (Command::Write, Effect::Fail(errno)),
            'q' => (Command::Read, Effect::Delay(delay)),
            'x' => (Command::Write, Effect::Delay(delay)),
            _ => continue,
        };
        faults.push(Fault {
            command: Some(command),
            range: range.clone(),
            rate: percent(value.unwrap_or_default())?,
            effect,
        });
    }
    Ok(faults)
}

/// `OFFSET:LENGTH`, in bytes.
fn bytes(text: &str) -> Result<Range<u64>, Misuse> {
    let (offset, length) = text.split_once(':').ok_or(Misuse::Count)?;
    let start = numbered(offset, number::bytes)?;
    Ok(start..start.saturating_add(numbered(length, number::bytes)?))
}

/// A rate in percent, with a fraction or without.
fn percent(text: &str) -> Result<u32, Misuse> {
    let wrong = || Misuse::Option(text.into());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = small(whole)?;
    if whole > 100 || fraction.len() > 4 || !fraction.bytes().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let digits = fraction.bytes().chain(core::iter::repeat(b'0')).take(4);
    let fraction = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    let rate = whole * 10_000 + fraction;
    if rate > MILLION {
        return Err(wrong());
    }
    Ok(rate)
}

fn error(text: &str) -> Result<Errno, Misuse> {
    let mut known = ERRORS.into_iter();
    let found = known.find(|errno| errno.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Misuse::Option(text.into()))
}

fn small(text: &str) -> Result<u32, Misuse> {
    narrow(text, number::plain)
}

fn narrow(text: &str, read: fn(&str) -> Result<u64, NumberError>) -> Result<u32, Misuse> {
    let number = numbered(text, read)?;
    let too_large = || Misuse::Number(text.into(), NumberError::TooLarge);
    u32::try_from(number).map_err(|_| too_large())
}
