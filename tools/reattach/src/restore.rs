//! Detaching what the former domain served, and attaching it to the new one.
//!
//! Nothing is believed of what `xl` says: whether a disk is detached, attached and connected stands
//! in xenstore, and is looked up there each time. So this may be run again at any moment.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::disk::{self, Disk};
use crate::domain;
use crate::host::Host;
use crate::notes::Notes;

/// How often it is tried. A client may have overlooked that a device went and came.
const ROUNDS: u32 = 3;
/// How long a client has to see that its device is gone before there is another one in its place:
/// Linux looks some time after it was told, and must not find one that looks the same.
const SETTLE: Duration = Duration::from_secs(2);
/// How long all clients together may take to connect, in looks.
const LOOKS: u32 = 150;
/// Between one look and the next.
const LOOK: Duration = Duration::from_millis(200);
/// `XenbusStateConnected`.
const CONNECTED: &str = "4";

/// How a disk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It is connected to the new domain.
    Back,
    /// It is attached to the new domain, and not connected.
    Attached,
    /// It is attached to a domain that is gone, or to the former one.
    Stale,
    /// It is attached to none.
    Free,
    /// Somebody has attached it to another domain.
    Elsewhere,
    /// There is no such client any more.
    ClientGone,
}

/// The domain that disks are attached to.
struct Server {
    id: u32,
    /// What is shown.
    name: String,
    /// What xl is told.
    word: String,
}

impl Server {
    fn find(host: &mut impl Host, word: &str) -> Result<Self> {
        let Some(id) = domain::find(host, word)? else {
            bail!(
                "there is no domain {word:?} to attach to: create it first, or name another one \
                 with --to"
            );
        };
        let name = domain::name(host, id)?;
        // xl keeps the word in the client's config, where a name outlives the next restart.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
        let usable = name.bytes().all(is_plain) && !name.bytes().all(|byte| byte.is_ascii_digit());
        let word = if usable { name.clone() } else { id.to_string() };
        Ok(Self { id, name, word })
    }

    /// Its directory of a disk.
    fn path(&self, disk: &Disk) -> String {
        let id = self.id;
        format!(
            "/local/domain/{id}/backend/vbd/{}/{}",
            disk.client, disk.device
        )
    }
}

/// Attaches the disks of `notes` to the domain `to`; whether all clients that are still there have
/// theirs.
pub(crate) fn restore(host: &mut impl Host, notes: &Notes, to: &str) -> Result<bool> {
    let mut server = Server::find(host, to)?;
    let mut trouble = vec![String::new(); notes.disks.len()];
    for round in 0..ROUNDS {
        if round > 0 {
            // The one before may have been on its way to its end.
            server = Server::find(host, to)?;
        }
        detach(host, notes, &server, round, &mut trouble)?;
        attach(host, notes, &server, &mut trouble)?;
        if wait(host, notes, &server)? {
            break;
        }
    }
    tell(host, notes, &server, &trouble)
}

/// Says how the disks stand that the domain `to` serves, and does nothing; whether all clients have
/// theirs.
pub(crate) fn report(host: &mut impl Host, to: &str) -> Result<bool> {
    let server = Server::find(host, to)?;
    let notes = Notes::take(host, server.id, &server.name)?;
    host.say(&format!(
        "no domain is gone that left disks; {} ({}) serves {}",
        server.name,
        server.id,
        notes.disks.len()
    ));
    let trouble = vec![String::new(); notes.disks.len()];
    tell(host, &notes, &server, &trouble)
}

/// Detaches what is stale, and after the first round what does not connect.
fn detach(
    host: &mut impl Host,
    notes: &Notes,
    server: &Server,
    round: u32,
    trouble: &mut [String],
) -> Result<()> {
    let mut any = false;
    for (disk, trouble) in notes.disks.iter().zip(trouble) {
        let stand = look(host, disk, server)?;
        if stand == Stand::Stale || stand == Stand::Attached && round > 0 {
            any = true;
            let (client, device) = (disk.client.to_string(), disk.device.to_string());
            if let Err(said) = host.xl(&["block-detach", &client, &device])? {
                *trouble = said;
            }
            // xl may have done it nevertheless.
            let stand = look(host, disk, server)?;
            if matches!(stand, Stand::Stale | Stand::Attached)
                && let Err(said) = host.xl(&["block-detach", "--force", &client, &device])?
            {
                *trouble = said;
            }
        }
    }
    if any {
        host.pause(SETTLE);
    }
    Ok(())
}

/// Attaches what is attached to none.
fn attach(
    host: &mut impl Host,
    notes: &Notes,
    server: &Server,
    trouble: &mut [String],
) -> Result<()> {
    for (disk, trouble) in notes.disks.iter().zip(trouble) {
        if look(host, disk, server)? == Stand::Free {
            let client = disk.client.to_string();
            let words = ["block-attach", &client, &disk.xl(&server.word)];
            *trouble = host.xl(&words)?.err().unwrap_or_default();
        }
    }
    Ok(())
}

/// Waits until everything is connected that is attached; whether nothing is left to do.
fn wait(host: &mut impl Host, notes: &Notes, server: &Server) -> Result<bool> {
    for _ in 0..LOOKS {
        let (mut waits, mut rest) = (false, false);
        for disk in &notes.disks {
            let stand = look(host, disk, server)?;
            waits |= stand == Stand::Attached;
            rest |= matches!(stand, Stand::Stale | Stand::Free);
        }
        if !waits {
            return Ok(!rest);
        }
        host.pause(LOOK);
    }
    Ok(false)
}

fn look(host: &mut impl Host, disk: &Disk, server: &Server) -> Result<Stand> {
    // A number that is another domain's by now is none of this client's.
    if !domain::exists(host, disk.client)? || disk::identity_of(host, disk.client)? != disk.identity
    {
        return Ok(Stand::ClientGone);
    }
    let path = format!("{}/backend", Disk::libxl_path(disk.client, disk.device));
    let Some(path) = host.read(&path)? else {
        return Ok(Stand::Free);
    };
    let Some(backend) = disk::backend_of(&path, disk.client, disk.device) else {
        return Ok(Stand::Elsewhere);
    };
    if backend == server.id {
        let state = host.read(&format!("{}/state", server.path(disk)))?;
        let connected = state.as_deref() == Some(CONNECTED);
        return Ok(if connected {
            Stand::Back
        } else {
            Stand::Attached
        });
    }
    let stale = backend == disk.backend || !domain::exists(host, backend)?;
    Ok(if stale {
        Stand::Stale
    } else {
        Stand::Elsewhere
    })
}

/// Says how each stands; whether all are back.
fn tell(host: &mut impl Host, notes: &Notes, server: &Server, trouble: &[String]) -> Result<bool> {
    let mut all = true;
    for (disk, trouble) in notes.disks.iter().zip(trouble) {
        let stand = look(host, disk, server)?;
        let fate = match stand {
            Stand::Back => format!("is back, served by {} ({})", server.name, server.id),
            Stand::ClientGone => "is skipped: its domain is gone".to_owned(),
            Stand::Elsewhere => "is left alone: another domain serves it now".to_owned(),
            Stand::Stale => {
                "CANNOT BE DETACHED: its domain must be ended, xl destroy and xl create".to_owned()
            }
            Stand::Free => "IS NOT ATTACHED".to_owned(),
            Stand::Attached => not_connected(host, disk, server)?,
        };
        let is_settled = matches!(stand, Stand::Back | Stand::ClientGone);
        all &= is_settled;
        let client = domain::name(host, disk.client)?;
        let mut line = format!("{client} ({}) {} {fate}", disk.client, disk.vdev);
        if !is_settled && !trouble.is_empty() {
            let said: Vec<&str> = trouble.lines().map(str::trim).collect();
            line.push_str(&format!(" [{}]", said.join("; ")));
        }
        host.say(&line.replace(char::is_control, "?"));
    }
    if !all {
        host.say("not all disks are back; once the cause is gone, run the same again");
    }
    Ok(all)
}

/// Why a disk is attached and not connected, as far as xenstore tells.
fn not_connected(host: &mut impl Host, disk: &Disk, server: &Server) -> Result<String> {
    let path = server.path(disk);
    if let Some(why) = host.read(&format!("{path}/hotplug-error"))? {
        return Ok(format!("IS REFUSED by {}: {why}", server.name));
    }
    let state = host.read(&format!("{path}/state"))?;
    Ok(format!(
        "IS ATTACHED, BUT NOT CONNECTED (state {} of the backend): has {} a provider {:?}, and \
         does the client's driver run?",
        state.as_deref().unwrap_or("-"),
        server.name,
        disk.target
    ))
}

#[cfg(test)]
mod tests;
