//! One disk of a client: as libxl notes it in `/libxl`, which only dom0 may write and which
//! outlives the domain that serves it, and as `xl block-attach` is told of it
//! (xl-disk-configuration(5)).
//!
//! What `xl` is told has no more structure than commas, so a field that could be taken for another
//! one is refused, wherever it comes from.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use crate::domain;
use crate::host::Host;

/// The longest `target=` and `script=`, in bytes: a node's value is not longer.
const LONGEST: usize = 2048;
/// The script that is run if none is named; it is not run for a driver domain's disks at all.
const USUAL_SCRIPTS: [&str; 2] = ["/etc/xen/scripts/block", "/usr/local/etc/xen/scripts/block"];

/// A disk, and who has it from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The client's domain.
    pub(crate) client: u32,
    /// Where xenstore has the client's identity, which its number may not stand for: numbers are
    /// used again. `-` if it has none.
    pub(crate) identity: String,
    /// The device's number there.
    pub(crate) device: u32,
    /// The domain that served it.
    pub(crate) backend: u32,
    /// What the client calls it.
    pub(crate) vdev: String,
    pub(crate) writable: bool,
    pub(crate) cdrom: bool,
    pub(crate) discard: bool,
    pub(crate) direct_io_safe: bool,
    pub(crate) trusted: bool,
    pub(crate) script: Option<String>,
    /// What is served: only the driver domain knows what that means.
    pub(crate) target: String,
}

/// The domain in the path of a backend's directory; `None` if it is none of a vbd of this client's.
pub(crate) fn backend_of(path: &str, client: u32, device: u32) -> Option<u32> {
    let rest = path.strip_prefix("/local/domain/")?;
    let (id, rest) = rest.split_once('/')?;
    (rest == format!("backend/vbd/{client}/{device}")).then(|| domain::number(id))?
}

/// Who a domain is, whatever its number; `-` if xenstore does not say.
pub(crate) fn identity_of(host: &mut impl Host, id: u32) -> Result<String> {
    let vm = host.read(&format!("/local/domain/{id}/vm"))?;
    let vm = vm.filter(|vm| !vm.is_empty() && vm.bytes().all(|byte| byte.is_ascii_graphic()));
    Ok(vm.unwrap_or_else(|| "-".to_owned()))
}

impl Disk {
    /// libxl's directory of a device.
    pub(crate) fn libxl_path(client: u32, device: u32) -> String {
        format!("/libxl/{client}/device/vbd/{device}")
    }

    /// Reads what libxl noted of a device that `backend` serves or served.
    pub(crate) fn read(
        host: &mut impl Host,
        client: u32,
        device: u32,
        backend: u32,
    ) -> Result<Self> {
        let path = Self::libxl_path(client, device);
        let kind = host.read(&format!("{path}/type"))?;
        ensure!(
            kind.as_deref() == Some("phy"),
            "{path}/type is {kind:?} and not phy"
        );
        let mut node = |key: &str| host.read(&format!("{path}/{key}"));
        let must = |key: &str, value: Option<String>| {
            value.with_context(|| format!("xenstore: {path}/{key} is missing"))
        };
        let mode = must("mode", node("mode")?)?;
        let writable = word(&format!("{path}/mode"), &mode, "r", "w")?;
        let kind = node("device-type")?.unwrap_or_else(|| "disk".to_owned());
        let cdrom = word(&format!("{path}/device-type"), &kind, "disk", "cdrom")?;
        let vdev = must("dev", node("dev")?)?;
        let target = must("params", node("params")?)?;
        let script = node("script")?.filter(|script| !USUAL_SCRIPTS.contains(&script.as_str()));
        let mut flag = |key: &str, default: bool| match node(key)? {
            Some(value) => word(&format!("{path}/{key}"), &value, "0", "1"),
            None => Ok(default),
        };
        let discard = flag("discard-enable", writable)?;
        let direct_io_safe = flag("direct-io-safe", false)?;
        // The client may write here: that it wants to trust less is its own affair.
        let trust = format!("/local/domain/{client}/device/vbd/{device}/trusted");
        let trusted = host.read(&trust)?.as_deref() != Some("0");
        let disk = Self {
            client,
            identity: identity_of(host, client)?,
            device,
            backend,
            vdev,
            writable,
            cdrom,
            discard,
            direct_io_safe,
            trusted,
            script,
            target,
        };
        disk.check().with_context(|| format!("xenstore: {path}"))?;
        Ok(disk)
    }

    /// Whether every field is what it stands for, and can be told to `xl`.
    fn check(&self) -> Result<()> {
        let vdev = &self.vdev;
        let is_plain = !vdev.is_empty() && vdev.len() <= 32;
        ensure!(
            is_plain && vdev.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{vdev:?} is no name of a virtual device"
        );
        let target = &self.target;
        let has_control = target.chars().any(char::is_control);
        // xl takes away a comma at the end; and it takes all the rest for the target.
        ensure!(
            !target.is_empty() && target.len() <= LONGEST && !has_control,
            "{target:?} cannot be a target"
        );
        ensure!(
            target.trim() == target && !target.ends_with(','),
            "xl would not take the target {target:?} as it is"
        );
        if let Some(script) = &self.script {
            let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
            ensure!(
                script.starts_with('/') && script.len() <= LONGEST && script.bytes().all(is_plain),
                "{script:?} is no script"
            );
        }
        Ok(())
    }

    /// What `xl block-attach CLIENT` is told, the disk being served by `backend` from now on.
    pub(crate) fn xl(&self, backend: &str) -> String {
        let mut words = vec![
            "format=raw".to_owned(),
            format!("vdev={}", self.vdev),
            format!("access={}", if self.writable { "rw" } else { "ro" }),
            format!("backend={backend}"),
        ];
        if self.cdrom {
            words.push("devtype=cdrom".to_owned());
        }
        if self.discard != self.writable {
            let word = if self.discard {
                "discard"
            } else {
                "no-discard"
            };
            words.push(word.to_owned());
        }
        if self.direct_io_safe {
            words.push("direct-io-safe".to_owned());
        }
        if !self.trusted {
            words.push("untrusted".to_owned());
        }
        if let Some(script) = &self.script {
            words.push(format!("script={script}"));
        }
        // The last one: it goes to the end, whatever is in it.
        words.push(format!("target={}", self.target));
        words.join(",")
    }

    /// Reads a line that [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(line: &str) -> Result<Self> {
        let mut fields = Fields(line);
        let number = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|_| text.as_bytes()[0] != b'+')
        };
        let client = fields.take("disk client")?;
        let identity = fields.take("identity")?.to_owned();
        let device = fields.take("device")?;
        let backend = fields.take("backend")?;
        let vdev = fields.take("vdev")?.to_owned();
        let writable = word("mode", fields.take("mode")?, "r", "w")?;
        let cdrom = word("type", fields.take("type")?, "disk", "cdrom")?;
        let discard = word("discard", fields.take("discard")?, "0", "1")?;
        let direct_io_safe = word("direct-io-safe", fields.take("direct-io-safe")?, "0", "1")?;
        let trusted = word("trusted", fields.take("trusted")?, "0", "1")?;
        let script = Some(fields.take("script")?).filter(|script| *script != "-");
        let target = fields.0.strip_prefix("target=");
        let disk = Self {
            client: domain::number(client).with_context(|| format!("client {client:?}"))?,
            identity,
            device: number(device).with_context(|| format!("device {device:?}"))?,
            backend: domain::number(backend).with_context(|| format!("backend {backend:?}"))?,
            vdev,
            writable,
            cdrom,
            discard,
            direct_io_safe,
            trusted,
            script: script.map(str::to_owned),
            target: target.context("target= is missing")?.to_owned(),
        };
        disk.check()?;
        Ok(disk)
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choose = |yes: bool, one: &'static str, other: &'static str| {
            if yes { one } else { other }
        };
        write!(
            f,
            "disk client={} identity={} device={} backend={} vdev={} mode={} type={} discard={} \
             direct-io-safe={} trusted={} script={} target={}",
            self.client,
            self.identity,
            self.device,
            self.backend,
            self.vdev,
            choose(self.writable, "w", "r"),
            choose(self.cdrom, "cdrom", "disk"),
            u8::from(self.discard),
            u8::from(self.direct_io_safe),
            u8::from(self.trusted),
            self.script.as_deref().unwrap_or("-"),
            self.target
        )
    }
}

/// The fields of a line, in their order.
struct Fields<'line>(&'line str);

impl<'line> Fields<'line> {
    fn take(&mut self, key: &str) -> Result<&'line str> {
        let rest = self.0.strip_prefix(key);
        let rest = rest.and_then(|rest| rest.strip_prefix('='));
        let found = rest.and_then(|rest| rest.split_once(' '));
        let (value, rest) = found.with_context(|| format!("{key}= is missing"))?;
        ensure!(!value.is_empty(), "{key}= is empty");
        self.0 = rest;
        Ok(value)
    }
}

/// Which of two words a value is: whether the second.
fn word(what: &str, value: &str, no: &str, yes: &str) -> Result<bool> {
    if value == yes {
        Ok(true)
    } else if value == no {
        Ok(false)
    } else {
        bail!("{what} is {value:?}, neither {no} nor {yes}")
    }
}

#[cfg(test)]
mod tests;
