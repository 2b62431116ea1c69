//! An answer: its fields and its body.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::pin::Pin;

use futures_util::Stream;

use crate::refusal::Refusal;
use crate::status::Status;

/// Parts of a body whose length is not known when it begins. An empty one is left out.
pub type Chunks = Pin<Box<dyn Stream<Item = Vec<u8>>>>;

/// What an answer brings.
pub enum Body {
    /// All of it.
    Whole(Cow<'static, [u8]>),
    /// Bit by bit.
    Chunks(Chunks),
}

/// An answer. Values of fields must not have line ends; they are the server's own words.
pub struct Response {
    /// Its status.
    pub status: Status,
    /// The body's type.
    pub content_type: &'static str,
    /// Further fields, each `Name: value`.
    pub fields: Vec<Cow<'static, str>>,
    /// The body.
    pub body: Body,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

impl Response {
    /// 200 with a body that is there.
    #[must_use]
    pub fn ok(content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self {
            status: Status::Ok,
            content_type,
            fields: Vec::new(),
            body: Body::Whole(body.into()),
        }
    }

    /// 200 with a body that comes bit by bit.
    #[must_use]
    pub fn stream(content_type: &'static str, chunks: Chunks) -> Self {
        let mut response = Self::ok(content_type, &b""[..]);
        response.body = Body::Chunks(chunks);
        response
    }

    /// Another status, with a line that says why.
    #[must_use]
    pub fn error(status: Status, why: &str) -> Self {
        let mut response = Self::ok(TEXT, format!("{status}: {why}\n").into_bytes());
        response.status = status;
        response
    }

    /// 405, with the methods that the target takes.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        let response = Self::error(Status::MethodNotAllowed, allow);
        response.with(format!("Allow: {allow}"))
    }

    /// With a further field, `Name: value`.
    #[must_use]
    pub fn with(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push(field.into());
        self
    }

    /// Status line and fields, to the empty line. `last` says that the connection ends with it;
    /// `is_1_1` that the client understands chunks: without, such a body ends with the connection.
    #[must_use]
    pub fn render(&self, is_1_1: bool, last: bool) -> String {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        let mut field = |text: &str| {
            head.push_str(text);
            head.push_str("\r\n");
        };
        field(&format!("Content-Type: {}", self.content_type));
        match &self.body {
            Body::Whole(bytes) => field(&format!("Content-Length: {}", bytes.len())),
            Body::Chunks(_) if is_1_1 => field("Transfer-Encoding: chunked"),
            Body::Chunks(_) => {}
        }
        field("Cache-Control: no-store");
        field("X-Content-Type-Options: nosniff");
        if last {
            field("Connection: close");
        }
        self.fields.iter().for_each(|text| field(text));
        field("");
        head
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.status, refusal.why)
    }
}

/// A chunk as it is sent (RFC 9112, 7.1); an empty one ends the body.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut text = format!("{:x}\r\n", bytes.len()).into_bytes();
    text.extend_from_slice(bytes);
    text.extend_from_slice(b"\r\n");
    text
}
