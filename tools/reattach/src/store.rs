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
