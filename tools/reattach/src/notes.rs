//! The disks of a driver domain, and how they stand in a file: a line that says what follows, and a
//! line for each.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use crate::disk::{self, Disk};
use crate::domain;
use crate::host::Host;

/// What a file begins with; the number changes with the lines.
const BEGIN: &str = "reattach 1 disks=";

/// The disks that a domain serves or served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notes {
    /// The name of the domain, or its number.
    pub(crate) domain: String,
    /// Its clients' disks.
    pub(crate) disks: Vec<Disk>,
}

/// A vbd and the domain that it has from libxl.
struct Vbd {
    client: u32,
    device: u32,
    backend: u32,
}

/// Every vbd there is.
fn vbds(host: &mut impl Host) -> Result<Vec<Vbd>> {
    let mut vbds = Vec::new();
    for entry in host.list("/libxl")? {
        let Some(client) = domain::number(&entry) else {
            continue;
        };
        for entry in host.list(&format!("/libxl/{client}/device/vbd"))? {
            let Ok(device) = entry.parse() else { continue };
            let path = format!("{}/backend", Disk::libxl_path(client, device));
            // Without one it is just being removed; of another kind it is not ours.
            let backend = host.read(&path)?;
            if let Some(backend) = backend.and_then(|path| disk::backend_of(&path, client, device))
            {
                vbds.push(Vbd {
                    client,
                    device,
                    backend,
                });
            }
        }
    }
    vbds.sort_by_key(|vbd| (vbd.client, vbd.device));
    Ok(vbds)
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = !name.is_empty() && !name.chars().any(char::is_control);
    ensure!(is_plain, "{name:?} is no name of a domain");
    Ok(())
}

impl Notes {
    /// Notes what the domain `id` serves, or has served if it is gone.
    pub(crate) fn take(host: &mut impl Host, id: u32, name: &str) -> Result<Self> {
        ensure!(id != 0, "dom0 itself is no driver domain");
        check_name(name)?;
        let mut disks = Vec::new();
        for vbd in vbds(host)? {
            // What a client that is gone leaves is libxl's to clear away.
            if vbd.backend == id && domain::exists(host, vbd.client)? {
                disks.push(Disk::read(host, vbd.client, vbd.device, id)?);
            }
        }
        Ok(Self {
            domain: name.to_owned(),
            disks,
        })
    }

    /// Notes what the one domain served that is gone and left disks.
    pub(crate) fn take_of_the_gone(host: &mut impl Host) -> Result<Self> {
        let mut gone = Vec::new();
        for vbd in vbds(host)? {
            let dead = !domain::exists(host, vbd.backend)?;
            if dead && domain::exists(host, vbd.client)? && !gone.contains(&vbd.backend) {
                gone.push(vbd.backend);
            }
        }
        match gone[..] {
            [] => Ok(Self {
                domain: "the one that is gone".to_owned(),
                disks: Vec::new(),
            }),
            [id] => Self::take(host, id, &id.to_string()),
            _ => bail!(
                "the domains {gone:?} are gone and have left disks: say whose you mean with --from"
            ),
        }
    }

    /// Reads a file's text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (first, rest) = text.split_once('\n').context("it has no line")?;
        let head = first.strip_prefix(BEGIN);
        let head = head.and_then(|head| head.split_once(" domain="));
        let (count, domain) =
            head.with_context(|| format!("it does not begin with {BEGIN:?} and so on"))?;
        let count: usize = count.parse().with_context(|| format!("disks={count:?}"))?;
        check_name(domain)?;
        let mut disks: Vec<Disk> = Vec::new();
        for (at, line) in rest.split_terminator('\n').enumerate() {
            let disk = Disk::parse(line).with_context(|| format!("line {}", at + 2))?;
            let known = |other: &Disk| (other.client, other.device) == (disk.client, disk.device);
            ensure!(!disks.iter().any(known), "line {}: a disk again", at + 2);
            disks.push(disk);
        }
        ensure!(
            disks.len() == count && text.ends_with('\n'),
            "it is cut short: {} disks of {count}",
            disks.len()
        );
        Ok(Self {
            domain: domain.to_owned(),
            disks,
        })
    }
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BEGIN}{} domain={}", self.disks.len(), self.domain)?;
        self.disks.iter().try_for_each(|disk| writeln!(f, "{disk}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn host() -> Model {
        let mut host = Model::with_driver(5);
        host.client(7, "guest");
        host.client(9, "other");
        host.attached(5, 7, 51728, "xvdb", "md0,ro");
        host.attached(5, 7, 51712, "xvda", "xbd0p1");
        host.attached(5, 0, 51792, "xvdf", "md1");
        // Not its own: another domain's, and another kind of backend's.
        host.attached(0, 9, 51712, "xvda", "/dev/sda");
        host.attached(5, 9, 51728, "xvdb", "x");
        let path = Some("/local/domain/5/backend/qdisk/9/51728");
        host.set("/libxl/9/device/vbd/51728/backend", path);
        // Of a client that is gone, and one that is being removed.
        host.attached(5, 11, 51712, "xvda", "md3");
        host.set("/libxl/9/device/vbd/51744/frontend", Some("x"));
        host
    }

    fn places(notes: &Notes) -> Vec<(u32, u32)> {
        let disks = notes.disks.iter();
        disks.map(|disk| (disk.client, disk.device)).collect()
    }

    #[test]
    fn what_a_domain_serves_is_noted_also_when_it_is_gone() {
        let mut host = host();
        let notes = Notes::take(&mut host, 5, "storage").unwrap();
        assert_eq!(places(&notes), [(0, 51792), (7, 51712), (7, 51728)]);
        assert_eq!(Notes::parse(&notes.to_string()).unwrap(), notes);
        assert!(Notes::take_of_the_gone(&mut host).unwrap().disks.is_empty());
        host.dies(5);
        assert_eq!(Notes::take(&mut host, 5, "storage").unwrap(), notes);
        let found = Notes::take_of_the_gone(&mut host).unwrap();
        assert_eq!((found.disks, found.domain), (notes.disks, "5".to_owned()));
    }

    #[test]
    fn of_two_domains_that_are_gone_one_must_be_named() {
        let mut host = host();
        host.attached(6, 9, 51760, "xvdd", "md0");
        host.dies(5);
        host.dies(6);
        let error = Notes::take_of_the_gone(&mut host).unwrap_err().to_string();
        assert!(
            error.contains("[5, 6]") && error.contains("--from"),
            "{error}"
        );
    }

    #[test]
    fn garbage_in_xenstore_is_an_error_that_says_where() {
        let mut host = host();
        host.set("/libxl/7/device/vbd/51712/dev", Some("xvda,xvdb"));
        let error = Notes::take(&mut host, 5, "storage").unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("/libxl/7/device/vbd/51712"), "{error}");
        assert!(Notes::take(&mut host, 0, "Domain-0").is_err());
        assert!(Notes::take(&mut host, 5, "a\nb").is_err());
    }

    #[test]
    fn garbage_in_a_file_is_an_error() {
        let text = Notes::take(&mut host(), 5, "storage").unwrap().to_string();
        assert!(Notes::parse(&text).is_ok());
        let line = text.lines().nth(1).unwrap().to_owned();
        for wrong in [
            String::new(),
            "\n".to_owned(),
            text.replace("reattach 1", "reattach 2"),
            text.replace("disks=3", "disks=2"),
            text.replace("disks=3", "disks=x"),
            text.replace(" domain=storage", ""),
            text.replace("domain=storage", "domain="),
            text.replace("\ndisk client=7", "\n\ndisk client=7"),
            text.replace('\n', "\r\n"),
            format!("{text}{line}\n").replace("disks=3", "disks=4"),
            text[..text.len() - 1].to_owned(),
            text[..text.len() - 20].to_owned(),
        ] {
            assert!(Notes::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
