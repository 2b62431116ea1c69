//! Where a head ends, byte by byte: the same verdict however the bytes are cut on their way.

use crate::limits;
use crate::refusal::Refusal;
use crate::status::Status;

/// How far a head was looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Bytes looked at.
    at: usize,
    /// Where the present line begins.
    line: usize,
    /// Lines that ended.
    lines: usize,
    /// The last byte was a carriage return.
    returned: bool,
}

impl Scan {
    /// Looks at what was not looked at yet of `bytes`, which begin where they did the last time.
    /// The head's length, with the empty line, once it is there.
    ///
    /// # Errors
    /// At the first byte that no head can have in that place, or the first too many.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            if self.take(*byte)? {
                return Ok(Some(self.at));
            }
        }
        Ok(None)
    }

    /// Whether the head ends with `byte`, the one before `at`.
    fn take(&mut self, byte: u8) -> Result<bool, Refusal> {
        if self.at > limits::HEAD {
            let status = Status::FieldsTooLarge;
            return Err(Refusal::with(status, "the head is too long"));
        }
        match byte {
            b'\n' if !self.returned => return Err(Refusal::bad("a line feed stands alone")),
            b'\n' => return self.end_line(),
            _ if self.returned => return Err(Refusal::bad("a carriage return stands alone")),
            b'\r' => self.returned = true,
            b' ' | b'\t' if self.line + 1 == self.at => {
                // Continued lines are obsolete, and were read in two ways (RFC 9112, 5.2).
                return Err(Refusal::bad("a line begins with a blank"));
            }
            b'\t' if self.lines > 0 => {}
            0..=0x1f | 0x7f => return Err(Refusal::bad("a control character")),
            _ => {}
        }
        if self.lines == 0 && byte != b'\r' && self.at > limits::REQUEST_LINE {
            let status = Status::UriTooLong;
            return Err(Refusal::with(status, "the request line is too long"));
        }
        Ok(false)
    }

    fn end_line(&mut self) -> Result<bool, Refusal> {
        let empty = self.at - self.line == 2;
        self.returned = false;
        self.line = self.at;
        if empty && self.lines == 0 {
            return Err(Refusal::bad("the request line is empty"));
        }
        if !empty && self.lines > limits::FIELDS {
            let status = Status::FieldsTooLarge;
            return Err(Refusal::with(status, "there are too many fields"));
        }
        self.lines += 1;
        Ok(empty)
    }
}
