//! A request's head: request line and fields (RFC 9112, 3 and 5).

use alloc::vec::Vec;
use core::ops::Range;

use crate::limits;
use crate::refusal::Refusal;
use crate::status::Status;
use crate::target;

/// What a client wants to do with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read it.
    Get,
    /// Read what would be said of it, without it.
    Head,
    /// Give it something to work on.
    Post,
    /// One of HTTP's others, that nothing here takes.
    Other,
}

/// Request line and fields, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    text: Vec<u8>,
    method: Method,
    target: Range<usize>,
    path: usize,
    is_1_1: bool,
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Head {
    /// Reads a head that [`Scan`](crate::scan::Scan) found the end of.
    ///
    /// # Errors
    /// 400 for what is none, 501 for a method that HTTP does not have, 505 for another version.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let mut lines = Lines { text, at: 0 };
        let line = lines.next().ok_or(Refusal::bad("there is no line"))?;
        let part = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let parts = words(text, line);
        let [method, target, version] = parts.as_slice() else {
            return Err(Refusal::bad("the request line has not three parts"));
        };
        let is_1_1 = version_of(part(version))?;
        let method = method_of(part(method))?;
        let path = target.start + target::path_start(part(target))?;
        let mut fields = Vec::new();
        for line in lines {
            if line.is_empty() {
                break;
            }
            fields.push(field(text, line)?);
        }
        let head = Self {
            text: text.to_vec(),
            method,
            target: target.clone(),
            path,
            is_1_1,
            fields,
        };
        head.check_host()?;
        Ok(head)
    }

    /// 1.1 has exactly one Host (RFC 9112, 3.2); 1.0 at most one.
    fn check_host(&self) -> Result<(), Refusal> {
        let mut hosts = self.all("host");
        match hosts.next() {
            None if self.is_1_1 => return Err(Refusal::bad("there is no Host")),
            Some(host) if !host.is_empty() && !target::is_authority(host) => {
                return Err(Refusal::bad("the Host is none"));
            }
            _ => {}
        }
        if hosts.next().is_some() {
            return Err(Refusal::bad("there are two Hosts"));
        }
        Ok(())
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The path as it was sent, such as `/status.json`. Nothing in it is decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path_and_query().0
    }

    /// What stands behind `?`, as it was sent; empty if nothing does.
    #[must_use]
    pub fn query(&self) -> &str {
        self.path_and_query().1
    }

    fn path_and_query(&self) -> (&str, &str) {
        let all = self.part(&(self.path..self.target.end));
        // A target that was let in is ASCII.
        let all = core::str::from_utf8(all).unwrap_or_default();
        all.split_once('?').unwrap_or((all, ""))
    }

    /// Whether the client speaks 1.1; otherwise it is 1.0.
    #[must_use]
    pub fn is_1_1(&self) -> bool {
        self.is_1_1
    }

    /// The values of the fields of that name, whose case does not matter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// All fields, in their order: name and value, without blanks around it.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let all = self.fields.iter();
        all.map(|field| (self.part(&field.name), self.part(&field.value)))
    }

    /// Whether a field that is a list of words, such as `Connection`, has `word`.
    #[must_use]
    pub fn lists(&self, name: &str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(|b| *b == b','));
        words.any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The head as this server would have sent it: the same, but for blanks around values.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let line_end = self.text.iter().position(|byte| *byte == b'\r');
        let mut text = Vec::with_capacity(self.text.len());
        text.extend_from_slice(self.part(&(0..line_end.unwrap_or(0))));
        text.extend_from_slice(b"\r\n");
        for (name, value) in self.fields() {
            for piece in [name, b": ", value, b"\r\n"] {
                text.extend_from_slice(piece);
            }
        }
        text.extend_from_slice(b"\r\n");
        text
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

/// The lines of a head, without their ends.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.text.get(self.at..)?;
        let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = self.at..self.at + length;
        self.at = line.end + 2;
        Some(line)
    }
}

/// What single blanks divide.
fn words(text: &[u8], line: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = line.start;
    for at in line.clone() {
        // One more than there may be is enough to know.
        if text.get(at) == Some(&b' ') && words.len() < 4 {
            words.push(start..at);
            start = at + 1;
        }
    }
    words.push(start..line.end);
    words
}

fn version_of(text: &[u8]) -> Result<bool, Refusal> {
    match text {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            let status = Status::VersionNotSupported;
            Err(Refusal::with(status, "this is HTTP/1.1"))
        }
        _ => Err(Refusal::bad("the version is none")),
    }
}

fn method_of(text: &[u8]) -> Result<Method, Refusal> {
    match text {
        b"GET" => Ok(Method::Get),
        b"HEAD" => Ok(Method::Head),
        b"POST" => Ok(Method::Post),
        b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS" | b"TRACE" | b"PATCH" => Ok(Method::Other),
        _ if is_token(text) => Err(Refusal::with(
            Status::NotImplemented,
            "the method is not known",
        )),
        _ => Err(Refusal::bad("the method is none")),
    }
}

/// `name: value`; no blank before the colon (RFC 9112, 5.1).
fn field(text: &[u8], line: Range<usize>) -> Result<Field, Refusal> {
    let all = text.get(line.clone()).unwrap_or_default();
    let colon = all.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or(Refusal::bad("a field has no colon"))?;
    let (name, value) = all.split_at(colon);
    if !is_token(name) {
        return Err(Refusal::bad("a field's name is none"));
    }
    let value = value.get(1..).unwrap_or_default();
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let before = value.iter().take_while(blank).count();
    let after = value.iter().rev().take_while(blank).count();
    let start = line.start + colon + 1 + before;
    Ok(Field {
        name: line.start..line.start + colon,
        value: start..(line.end - after).max(start),
    })
}

/// `token` of RFC 9110, 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(allowed)
}

const _: () = assert!(limits::REQUEST_LINE < limits::HEAD);
