//! xenstore, over xenstored's socket or the kernel's device (`io/xs_wire.h`).

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use xen_abi::io::xs_wire::{HEADER_SIZE, Header, PAYLOAD_MAX, kind};

/// Where xenstored listens, if it is a process of dom0.
const SOCKETS: [&str; 2] = ["/run/xenstored/socket", "/var/run/xenstored/socket"];
/// The way to it through the kernel, if it is a domain.
const DEVICE: &str = "/dev/xen/xenbus";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// A connection to xenstored with dom0's rights.
pub(crate) struct Store(Box<dyn Stream>);

impl Store {
    pub(crate) fn open() -> Result<Self> {
        for socket in SOCKETS {
            if let Ok(stream) = UnixStream::connect(socket) {
                stream.set_read_timeout(Some(ANSWER))?;
                return Ok(Self(Box::new(stream)));
            }
        }
        let device = File::options().read(true).write(true).open(DEVICE);
        let device = device.with_context(|| {
            format!(
                "xenstore is reached neither by {} nor by {DEVICE}; this is for dom0, as root",
                SOCKETS[0]
            )
        })?;
        Ok(Self(Box::new(device)))
    }

    /// See [`Host::read`](crate::host::Host::read).
    pub(crate) fn read(&mut self, path: &str) -> Result<Option<String>> {
        let value = self.ask(kind::READ, path)?;
        let text = value.map(String::from_utf8).transpose();
        text.with_context(|| format!("xenstore: {path} is no text"))
    }

    /// See [`Host::list`](crate::host::Host::list).
    pub(crate) fn list(&mut self, path: &str) -> Result<Vec<String>> {
        let names = self.ask(kind::DIRECTORY, path)?.unwrap_or_default();
        let names = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        Ok(names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    /// The answer's payload; `None` if there is no such node.
    fn ask(&mut self, kind: u32, path: &str) -> Result<Option<Vec<u8>>> {
        let payload = [path.as_bytes(), b"\0"].concat();
        let header = Header {
            kind,
            req_id: 1,
            tx_id: 0,
            len: u32::try_from(payload.len())?,
        };
        let message = [&header.encode()[..], &payload].concat();
        self.0.write_all(&message).context("xenstore")?;
        let (header, answer) = self.message().context("xenstore does not answer")?;
        match header.kind {
            kind::ERROR if answer == b"ENOENT\0" => Ok(None),
            kind::ERROR => Err(anyhow!(
                "xenstore: {path}: {}",
                String::from_utf8_lossy(&answer).trim_end_matches('\0')
            )),
            got if got == kind => Ok(Some(answer)),
            got => bail!("xenstore: {path}: an answer of kind {got}"),
        }
    }

    fn message(&mut self) -> Result<(Header, Vec<u8>)> {
        let mut header = [0; HEADER_SIZE];
        self.0.read_exact(&mut header)?;
        let header = Header::decode(&header);
        let length = header.len as usize;
        if length > PAYLOAD_MAX {
            bail!("a message of {length} bytes");
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload)?;
        Ok((header, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store says to one request that is answered with these bytes, and the request.
    fn asked<T>(
        kind: u32,
        payload: &[u8],
        ask: impl FnOnce(&mut Store) -> Result<T>,
    ) -> (Result<T>, Vec<u8>) {
        let (ours, mut daemon) = UnixStream::pair().unwrap();
        let len = u32::try_from(payload.len()).unwrap();
        let (req_id, tx_id) = (1, 0);
        let header = Header {
            kind,
            req_id,
            tx_id,
            len,
        };
        daemon.write_all(&header.encode()).unwrap();
        daemon.write_all(payload).unwrap();
        let mut store = Store(Box::new(ours));
        let said = ask(&mut store);
        let mut request = vec![0; 512];
        let count = daemon.read(&mut request).unwrap();
        request.truncate(count);
        (said, request.split_off(HEADER_SIZE))
    }

    #[test]
    fn nodes_are_read_and_listed() {
        let (value, request) = asked(kind::READ, b"md0,ro", |store| store.read("/a/b"));
        assert_eq!(value.unwrap().as_deref(), Some("md0,ro"));
        assert_eq!(request, b"/a/b\0");
        let (names, _) = asked(kind::DIRECTORY, b"0\x007\x0012\0", |s| s.list("/libxl"));
        assert_eq!(names.unwrap(), ["0", "7", "12"]);
        let (names, _) = asked(kind::DIRECTORY, b"", |store| store.list("/libxl"));
        assert!(names.unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_is_no_error_and_everything_else_is() {
        let (value, _) = asked(kind::ERROR, b"ENOENT\0", |store| store.read("/a"));
        assert_eq!(value.unwrap(), None);
        let (names, _) = asked(kind::ERROR, b"ENOENT\0", |store| store.list("/a"));
        assert!(names.unwrap().is_empty());
        let (value, _) = asked(kind::ERROR, b"EACCES\0", |store| store.read("/a"));
        assert!(value.unwrap_err().to_string().contains("/a: EACCES"));
        let (value, _) = asked(kind::DIRECTORY, b"x", |store| store.read("/a"));
        assert!(value.is_err(), "another request's answer");
        let (value, _) = asked(kind::READ, b"\xff\xfe", |store| store.read("/a"));
        assert!(value.is_err(), "no text");
        let long = vec![b'x'; PAYLOAD_MAX + 1];
        let (value, _) = asked(kind::READ, &long, |store| store.read("/a"));
        assert!(value.is_err(), "too long");
    }

    #[test]
    fn a_daemon_that_goes_away_is_an_error() {
        let (ours, daemon) = UnixStream::pair().unwrap();
        drop(daemon);
        assert!(Store(Box::new(ours)).read("/a").is_err());
    }
}
