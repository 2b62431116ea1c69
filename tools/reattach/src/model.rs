//! A dom0 for tests: xenstore's tree, an `xl` that is recorded and does what libxl does to that
//! tree, and time that is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;

use crate::host::Host;

/// The driver domain's name.
const DRIVER: &str = "storage";

#[derive(Default)]
pub(crate) struct Model {
    tree: BTreeMap<String, String>,
    /// What `xl` was told.
    pub(crate) calls: Vec<Vec<String>>,
    /// What the administrator was told.
    pub(crate) said: Vec<String>,
    pub(crate) passed: Duration,
    /// Clients whose frontends never connect.
    pub(crate) deaf: BTreeSet<u32>,
    /// Clients that overlook the next device of theirs.
    pub(crate) overlooks: BTreeSet<u32>,
    /// Domains that are there and do nothing any more.
    pub(crate) stuck: BTreeSet<u32>,
    /// Clients that vanish at the next detach.
    pub(crate) vanishes: BTreeSet<u32>,
    pub(crate) stays_away: bool,
    pub(crate) refuses_reboot: bool,
    /// What the driver domain refuses to serve.
    pub(crate) refused_target: Option<String>,
    /// When another takes the place of the driver domain with this number.
    pub(crate) replaced_after: Option<(Duration, u32)>,
    /// When the rebooted domain is there.
    comes: Option<(Duration, u32)>,
}

impl Model {
    /// dom0, and the driver domain with this number.
    pub(crate) fn with_driver(id: u32) -> Self {
        let mut model = Self::default();
        model.domain(0, "Domain-0");
        model.driver(id);
        model
    }

    /// Starts the driver domain.
    pub(crate) fn driver(&mut self, id: u32) {
        self.domain(id, DRIVER);
        let feature = format!("/local/domain/{id}/control/feature-poweroff");
        self.set(&feature, Some("1"));
    }

    /// Starts another domain.
    pub(crate) fn client(&mut self, id: u32, name: &str) {
        self.domain(id, name);
    }

    fn domain(&mut self, id: u32, name: &str) {
        self.set(&format!("/local/domain/{id}/name"), Some(name));
        self.set(
            &format!("/local/domain/{id}/vm"),
            Some(&format!("/vm/{name}")),
        );
    }

    /// A domain is destroyed: only what libxl noted of others' devices stays.
    pub(crate) fn dies(&mut self, id: u32) {
        self.remove(&format!("/local/domain/{id}"));
        self.remove(&format!("/libxl/{id}"));
    }

    /// A device that is there and connected.
    pub(crate) fn attached(&mut self, by: u32, client: u32, device: u32, vdev: &str, target: &str) {
        let noted = format!("/libxl/{client}/device/vbd/{device}");
        let served = format!("/local/domain/{by}/backend/vbd/{client}/{device}");
        for (key, value) in [
            ("backend", served.as_str()),
            ("params", target),
            ("script", "/etc/xen/scripts/block"),
            ("state", "1"),
            ("dev", vdev),
            ("type", "phy"),
            ("mode", "w"),
            ("device-type", "disk"),
            ("discard-enable", "1"),
        ] {
            self.set(&format!("{noted}/{key}"), Some(value));
        }
        self.set(&format!("{served}/state"), Some("4"));
    }

    pub(crate) fn set(&mut self, path: &str, value: Option<&str>) {
        match value {
            Some(value) => self.tree.insert(path.to_owned(), value.to_owned()),
            None => self.tree.remove(path),
        };
    }

    /// The state of a backend.
    pub(crate) fn state(&self, by: u32, client: u32, device: u32) -> Option<String> {
        let path = format!("/local/domain/{by}/backend/vbd/{client}/{device}/state");
        self.tree.get(&path).cloned()
    }

    fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.tree
            .retain(|node, _| node != path && !node.starts_with(&below));
    }

    fn has(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.tree.contains_key(path) || self.tree.keys().any(|node| node.starts_with(&below))
    }

    fn detach(&mut self, force: bool, client: u32, device: u32) -> Result<(), String> {
        if self.vanishes.remove(&client) {
            self.dies(client);
            return Err("no such domain".to_owned());
        }
        let noted = format!("/libxl/{client}/device/vbd/{device}");
        let Some(served) = self.tree.get(&format!("{noted}/backend")).cloned() else {
            return Err(format!("Device {device} not connected."));
        };
        let by: u32 = served.split('/').nth(3).unwrap().parse().unwrap();
        let is_there = self.has(&format!("{served}/state"));
        let answers = !is_there || !self.stuck.contains(&by);
        if answers || force {
            self.remove(&noted);
            self.remove(&served);
        }
        if answers {
            Ok(())
        } else {
            self.passed += Duration::from_secs(10);
            Err("unable to remove device\nlibxl: timed out".to_owned())
        }
    }

    fn attach(&mut self, client: u32, disk: &str) -> Result<(), String> {
        let (words, target) = disk.split_once(",target=").expect("a target");
        let words: Vec<&str> = words.split(',').collect();
        let word = |key: &str| {
            let found = words.iter().find_map(|word| word.strip_prefix(key));
            found.unwrap_or_else(|| panic!("no {key} in {disk}"))
        };
        let (vdev, by) = (word("vdev="), word("backend="));
        let by = crate::domain::find(self, by).unwrap();
        let by = by.ok_or("unknown backend domain")?;
        let letter = u32::from(vdev.as_bytes()[3] - b'a');
        let device = 51712 + 16 * letter;
        if self.has(&format!("/libxl/{client}/device/vbd/{device}")) {
            return Err("device already exists in xenstore".to_owned());
        }
        self.attached(by, client, device, vdev, target);
        let served = format!("/local/domain/{by}/backend/vbd/{client}/{device}");
        let connects = !self.deaf.contains(&client) && !self.overlooks.remove(&client);
        if self.refused_target.as_deref() == Some(target) {
            self.set(&format!("{served}/state"), Some("6"));
            self.set(&format!("{served}/hotplug-error"), Some("no such provider"));
        } else if !connects {
            self.set(&format!("{served}/state"), Some("2"));
        }
        Ok(())
    }
}

impl Host for Model {
    fn read(&mut self, path: &str) -> Result<Option<String>> {
        let value = self.tree.get(path).cloned();
        Ok(value.or_else(|| self.has(path).then(String::new)))
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>> {
        let below = format!("{path}/");
        let names = self.tree.keys().filter_map(|node| {
            let rest = node.strip_prefix(&below)?;
            rest.split('/').next().map(str::to_owned)
        });
        Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn xl(&mut self, words: &[&str]) -> Result<Result<(), String>> {
        self.calls
            .push(words.iter().map(|word| (*word).to_owned()).collect());
        let number = |word: &str| word.parse().unwrap();
        Ok(match words {
            ["block-detach", "--force", client, device] => {
                self.detach(true, number(client), number(device))
            }
            ["block-detach", client, device] => self.detach(false, number(client), number(device)),
            ["block-attach", client, disk] => self.attach(number(client), disk),
            ["reboot", _] if self.refuses_reboot => Err("refused".to_owned()),
            ["reboot", id] => {
                let id = number(id);
                self.dies(id);
                if !self.stays_away {
                    self.comes = Some((self.passed + Duration::from_secs(5), id + 1));
                }
                Ok(())
            }
            other => panic!("xl {other:?}"),
        })
    }

    fn pause(&mut self, time: Duration) {
        self.passed += time;
        if let Some((_, id)) = self
            .replaced_after
            .take_if(|(when, _)| *when <= self.passed)
        {
            self.dies(id);
            self.driver(id + 1);
        }
        if let Some((_, id)) = self.comes.take_if(|(when, _)| *when <= self.passed) {
            self.driver(id);
        }
    }

    fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }
}
