//! What may be done of what a client asks for; pure.

use crate::code::Code;
use crate::export::Terms;
use crate::wire::{MAX_PAYLOAD, Request, command, command_flag as flag};

/// What a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Read {
        /// The answer has at most one chunk of data.
        whole: bool,
    },
    Write {
        durable: bool,
    },
    WriteZeroes {
        durable: bool,
    },
    Trim {
        durable: bool,
    },
    Flush,
    Disconnect,
    /// It is refused; `payload` bytes of it are still to come, and to be thrown away.
    Refuse {
        code: Code,
        payload: u32,
    },
    /// Client and server cannot go on.
    End(&'static str),
}

/// Judges a request by what was offered, and by the size that the provider has now.
pub(crate) fn judge(request: &Request, terms: &Terms, size: u64, structured: bool) -> Verdict {
    let writes = request.command == command::WRITE;
    if writes && request.length > MAX_PAYLOAD {
        return Verdict::End("a payload of more than 32 MiB");
    }
    let payload = if writes { request.length } else { 0 };
    match admit(request, terms, size, structured) {
        Ok(verdict) => verdict,
        Err(code) => Verdict::Refuse { code, payload },
    }
}

fn admit(request: &Request, terms: &Terms, size: u64, structured: bool) -> Result<Verdict, Code> {
    let durable = request.flags & flag::FUA != 0;
    // What no flag of the export allows is refused, whoever would understand it.
    let fua = if terms.flush { flag::FUA } else { 0 };
    let df = if structured { flag::DF } else { 0 };
    let (verdict, allowed) = match request.command {
        command::READ => {
            let whole = !structured || request.flags & flag::DF != 0;
            (Verdict::Read { whole }, df)
        }
        command::WRITE => (Verdict::Write { durable }, 0),
        command::WRITE_ZEROES => (Verdict::WriteZeroes { durable }, flag::NO_HOLE),
        command::TRIM => (Verdict::Trim { durable }, 0),
        command::FLUSH => (Verdict::Flush, 0),
        command::DISC => return Ok(Verdict::Disconnect),
        _ => return Err(Code::Invalid),
    };
    let changes = !matches!(verdict, Verdict::Read { .. } | Verdict::Flush);
    if changes && terms.read_only {
        return Err(Code::NotPermitted);
    }
    if request.flags & !(fua | allowed) != 0 {
        return Err(Code::Invalid);
    }
    let offered = match verdict {
        Verdict::Trim { .. } => terms.trim,
        Verdict::Flush => terms.flush && request.offset == 0 && request.length == 0,
        _ => true,
    };
    if !offered {
        return Err(Code::Invalid);
    }
    in_range(request, terms, size)?;
    if request.command == command::READ && request.length > MAX_PAYLOAD {
        return Err(if structured {
            Code::Overflow
        } else {
            Code::Invalid
        });
    }
    Ok(verdict)
}

/// "Size constraints" and "Error values": whole blocks, inside of the export.
fn in_range(request: &Request, terms: &Terms, size: u64) -> Result<(), Code> {
    let (offset, length) = (request.offset, u64::from(request.length));
    let sector = u64::from(terms.sector);
    if !offset.is_multiple_of(sector) || !length.is_multiple_of(sector) {
        return Err(Code::Invalid);
    }
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(match request.command {
            command::WRITE | command::WRITE_ZEROES => Code::NoSpace,
            _ => Code::Invalid,
        });
    }
    Ok(())
}
