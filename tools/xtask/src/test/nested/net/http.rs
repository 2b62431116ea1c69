//! A client for the page, that takes nothing on trust: one request a connection, and an answer that
//! must be what RFC 9112 says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a step may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What is asked.
pub(super) struct Request<'a> {
    method: &'a str,
    target: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

impl<'a> Request<'a> {
    /// `GET`.
    pub(super) fn get(target: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            fields: Vec::new(),
            body: "",
        }
    }

    /// `POST` of a text.
    pub(super) fn post(target: &'a str, body: &'a str) -> Self {
        Self {
            method: "POST",
            target,
            fields: vec![("Content-Type", "text/plain")],
            body,
        }
    }

    /// The same with one more field.
    pub(super) fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.fields.push((name, value));
        self
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: xenolith\r\nConnection: close\r\n",
            self.method, self.target
        );
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text + "\r\n" + self.body
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The body as text.
    pub(super) fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).context("a body that is not UTF-8")
    }
}

/// Asks and reads until the other side closes.
pub(super) fn ask(address: SocketAddr, request: &Request<'_>) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).context("connecting")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(request.text().as_bytes())?;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let what = || {
        let (method, target) = (request.method, request.target);
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]);
        format!("{method} {target}: {} bytes: {said}", bytes.len())
    };
    read.with_context(what)?;
    parse(&bytes).with_context(what)
}

/// Reads one answer that is all there is.
fn parse(bytes: &[u8]) -> Result<Answer> {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("no end of the head")?;
    let head = std::str::from_utf8(&bytes[..end]).context("a head that is not UTF-8")?;
    let rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let status = status
        .strip_prefix("HTTP/1.1 ")
        .with_context(|| format!("status line {status:?}"))?;
    let status = status.get(..3).unwrap_or(status).parse()?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("field {line:?}"))?;
        ensure!(!name.is_empty() && !name.contains(' '), "field {line:?}");
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        fields,
        body: Vec::new(),
    };
    let length = answer.field("content-length").map(str::parse::<usize>);
    let chunked = answer.field("transfer-encoding") == Some("chunked");
    answer.body = match (length, chunked) {
        (Some(_), true) => bail!("a length and chunks"),
        (Some(length), false) => {
            let length = length.context("content-length")?;
            ensure!(rest.len() == length, "{} of {length} bytes", rest.len());
            rest.to_vec()
        }
        (None, true) => chunks(rest)?,
        // To its end, as HTTP/1.0 had it.
        (None, false) => rest.to_vec(),
    };
    Ok(answer)
}

/// The bytes of a chunked body, which must end with its last chunk.
fn chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|two| two == b"\r\n")
            .context("no end of a chunk's size")?;
        let size = std::str::from_utf8(&rest[..end])?;
        let size = usize::from_str_radix(size, 16).with_context(|| format!("chunk of {size:?}"))?;
        rest = &rest[end + 2..];
        ensure!(rest.len() >= size + 2, "a chunk of {size} is cut off");
        body.extend_from_slice(&rest[..size]);
        ensure!(&rest[size..size + 2] == b"\r\n", "a chunk's end");
        rest = &rest[size + 2..];
        if size == 0 {
            ensure!(rest.is_empty(), "{} bytes after the end", rest.len());
            return Ok(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, parse};

    #[test]
    fn answers_of_every_form_are_read() {
        let length = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        let to_its_end = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nabc";
        for bytes in [&length[..], chunked, to_its_end] {
            let answer = parse(bytes).unwrap();
            assert_eq!((answer.status, answer.text().unwrap()), (200, "abc"));
        }
        assert_eq!(parse(to_its_end).unwrap().field("x"), Some("y"));
    }

    #[test]
    fn answers_that_are_cut_off_or_too_long_are_refused() {
        for bytes in [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_request_has_its_fields_and_its_length() {
        let text = Request::post("/run", "mem").with("A", "b").text();
        assert!(text.starts_with("POST /run HTTP/1.1\r\nHost: "));
        assert!(text.ends_with("A: b\r\nContent-Length: 3\r\n\r\nmem"));
    }
}
