//! Bytes that came, until they are requests.

use alloc::vec::Vec;
use core::mem;

use crate::framing::body_length;
use crate::head::Head;
use crate::limits;
use crate::refusal::Refusal;
use crate::scan::Scan;
use crate::status::Status;

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Request line and fields.
    pub head: Head,
    /// What came behind them.
    pub body: Vec<u8>,
}

/// What came of a connection and is not answered yet. It never holds much more than a head and a
/// body, provided that bytes are only pushed when [`take_request`](Self::take_request) has none.
#[derive(Default)]
pub struct Incoming {
    bytes: Vec<u8>,
    scan: Scan,
    /// A head whose body is not whole yet, and the body's length.
    head: Option<(Head, usize)>,
}

impl Incoming {
    /// Nothing came yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a part of a request is there.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.head.is_some() || !self.bytes.is_empty()
    }

    /// The next request, once it is whole.
    ///
    /// # Errors
    /// As soon as it cannot become one. Nothing may be asked for afterwards.
    pub fn take_request(&mut self) -> Result<Option<Request>, Refusal> {
        if self.head.is_none() {
            let Some(length) = self.scan.find(&self.bytes)? else {
                return Ok(None);
            };
            let text = self.take(length);
            self.scan = Scan::default();
            let head = Head::parse(&text)?;
            let length = body_length(&head)?;
            check_expectation(&head)?;
            self.head = Some((head, length));
        }
        let Some((head, length)) = self.head.take() else {
            return Ok(None);
        };
        if self.bytes.len() < length {
            self.head = Some((head, length));
            return Ok(None);
        }
        let body = self.take(length);
        Ok(Some(Request { head, body }))
    }

    /// Whether the client waits to be told that its body is wanted (RFC 9110, 10.1.1).
    #[must_use]
    pub fn waits_for_continue(&self) -> bool {
        let waits = |(head, _): &(Head, usize)| head.is_1_1() && head.lists(EXPECT, CONTINUE);
        self.bytes.is_empty() && self.head.as_ref().is_some_and(waits)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(length.min(self.bytes.len()));
        mem::replace(&mut self.bytes, rest)
    }
}

const EXPECT: &str = "expect";
const CONTINUE: &str = "100-continue";

fn check_expectation(head: &Head) -> Result<(), Refusal> {
    let mut all = head.all(EXPECT);
    if all.all(|value| value.eq_ignore_ascii_case(CONTINUE.as_bytes())) {
        return Ok(());
    }
    let status = Status::ExpectationFailed;
    Err(Refusal::with(status, "the expectation is not known"))
}

const _: () = assert!(limits::BODY <= limits::HEAD);
