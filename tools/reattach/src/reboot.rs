//! The whole of it: notes, `xl reboot`, the new domain, its clients.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::domain;
use crate::host::Host;
use crate::notes::Notes;
use crate::restore::restore;

/// Between one look and the next.
const LOOK: Duration = Duration::from_millis(200);
/// How long the domain may take to close its exports and to end, and another to be made and to
/// serve, in looks: two minutes.
const LOOKS: u32 = 600;

/// Has the domain rebooted, and gives its clients their disks again; whether all have them.
pub(crate) fn reboot(host: &mut impl Host, word: &str) -> Result<bool> {
    let Some(old) = domain::find(host, word)? else {
        bail!(
            "there is no domain {word:?}. If it has died, create it, then \
             `reattach restore --to NAME`"
        );
    };
    let name = domain::name(host, old)?;
    if domain::number(&name).is_some() {
        bail!("domain {old} has no name by which it could be found again");
    }
    let notes = Notes::take(host, old, &name)?;
    let count = notes.disks.len();
    host.say(&format!(
        "{name} ({old}) serves {count} disks; it is rebooted"
    ));
    if let Err(said) = host.xl(&["reboot", &old.to_string()])? {
        bail!("{said}");
    }
    let Some(new) = wait(host, &name, old)? else {
        bail!(
            "{name} did not come back within two minutes (does its config say on_reboot?). Once it \
             is there: `reattach restore --from {old} --to {name}`"
        );
    };
    host.say(&format!("{name} is there again, as domain {new}"));
    if count == 0 {
        return Ok(true);
    }
    restore(host, &notes, &new.to_string())
}

/// Waits until there is another domain of this name that runs; its number.
fn wait(host: &mut impl Host, name: &str, old: u32) -> Result<Option<u32>> {
    for _ in 0..LOOKS {
        if let Some(new) = domain::find(host, name)?.filter(|new| *new != old) {
            // What a guest writes once it runs and can hear of devices.
            let feature = format!("/local/domain/{new}/control/feature-poweroff");
            if host.read(&feature)?.as_deref() == Some("1") && !domain::exists(host, old)? {
                return Ok(Some(new));
            }
        }
        host.pause(LOOK);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;

    fn host() -> Model {
        let mut host = Model::with_driver(5);
        host.client(7, "guest");
        host.attached(5, 7, 51712, "xvda", "md0");
        host.attached(5, 0, 51792, "xvdf", "md1");
        host
    }

    #[test]
    fn a_reboot_gives_every_client_its_disk_again() {
        let mut host = host();
        assert!(reboot(&mut host, "storage").unwrap(), "{:?}", host.said);
        assert_eq!(host.state(6, 7, 51712).as_deref(), Some("4"));
        assert_eq!(host.state(6, 0, 51792).as_deref(), Some("4"));
        assert_eq!(host.calls[0], ["reboot", "5"]);
        // Once more, now as domain 6.
        assert!(reboot(&mut host, "6").unwrap());
        assert_eq!(host.state(7, 0, 51792).as_deref(), Some("4"));
    }

    #[test]
    fn a_domain_that_does_not_come_back_is_told_of_with_what_to_do() {
        let mut host = host();
        host.stays_away = true;
        let error = reboot(&mut host, "storage").unwrap_err().to_string();
        assert!(
            error.contains("restore --from 5 --to storage"),
            "{error}: {:?}",
            host.said
        );
        assert_eq!(host.calls.len(), 1);
    }

    #[test]
    fn nothing_is_rebooted_if_there_is_garbage_or_no_domain() {
        let mut host = host();
        host.set("/libxl/7/device/vbd/51712/mode", Some("?"));
        assert!(reboot(&mut host, "storage").is_err());
        assert!(reboot(&mut host, "other").is_err());
        assert!(reboot(&mut host, "0").is_err());
        assert!(host.calls.is_empty());
    }

    #[test]
    fn what_xl_refuses_is_told() {
        let mut host = host();
        host.refuses_reboot = true;
        let error = reboot(&mut host, "storage").unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
    }
}
