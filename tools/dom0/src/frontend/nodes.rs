//! One vbd in xenstore: what libxl makes, and takes away again.

use super::keys::Keys;
use super::options::Options;
use super::order::place::Awaited;
use super::probe::{Hidden, MARK};
use super::sweep::Sweeper;
use crate::xen::store::Store;
use anyhow::{Result, bail};
use std::fmt;
use std::time::{Duration, Instant};

/// The domain that the frontend runs in.
const DOM0: u32 = 0;

const INITIALISING: u32 = 1;
const CLOSING: u32 = 5;
const CLOSED: u32 = 6;

/// Both ends' nodes.
pub(super) struct Nodes {
    store: Store,
    options: Options,
    front: String,
    back: String,
    /// Of the second device that `probe` needs for a moment.
    mark: String,
    /// The keys that were published last.
    published: Vec<String>,
    /// Whether the nodes there are this one's.
    is_attached: bool,
    /// Is told so; the second process has none itself.
    sweeper: Option<Sweeper>,
}

/// What the backend's directory says of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BackState {
    State(u32),
    /// What is there is no number; nothing if nothing is.
    Odd(String),
    /// There is no directory.
    Gone,
}

impl BackState {
    fn is(&self, awaited: Awaited) -> bool {
        match awaited {
            Awaited::State(state) => *self == Self::State(state),
            Awaited::Gone => *self == Self::Gone,
        }
    }
}

impl fmt::Display for BackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "{state}"),
            Self::Odd(text) => write!(f, "{text:?}"),
            Self::Gone => f.write_str("gone"),
        }
    }
}

impl Nodes {
    pub(super) fn open(options: Options, sweeper: Option<Sweeper>) -> Result<Self> {
        let (backend, vdev) = (options.backend, options.vdev);
        let front = format!("/local/domain/{DOM0}/device/vbd/{vdev}");
        let mark = format!("/local/domain/{DOM0}/device/{MARK}/{vdev}");
        let back = format!("/local/domain/{backend}/backend/vbd/{DOM0}/{vdev}");
        let mut store = Store::open()?;
        store.watch(&back)?;
        Ok(Self {
            store,
            options,
            front,
            back,
            mark,
            published: Vec::new(),
            is_attached: sweeper.is_none(),
            sweeper,
        })
    }

    /// Makes them all at once, as libxl does for a disk of dom0 in another domain.
    pub(super) fn attach(&mut self) -> Result<()> {
        if self.is_attached {
            bail!("it is attached already");
        }
        let hidden = Hidden::new(self.options.vdev)?;
        self.set_attached(true)?;
        if let Err(error) = self.make() {
            self.set_attached(false)?;
            return Err(error);
        }
        let seen = self.set_mark().and_then(|()| hidden.end());
        let unset = self
            .store
            .transaction(|store| remove_with_parents(store, &self.mark));
        seen.and(unset)
    }

    fn set_mark(&mut self) -> Result<()> {
        let state = INITIALISING.to_string();
        self.store.write(&format!("{}/state", self.mark), &state)
    }

    fn make(&mut self) -> Result<()> {
        let options = &self.options;
        let back_keys = back_keys(options, &self.front);
        let front_keys = front_keys(options, &self.back);
        let (front, back, backend) = (&self.front, &self.back, options.backend);
        self.store.transaction(|store| {
            for directory in [front, back] {
                if store.read(directory)?.is_some() {
                    bail!("{directory} is there already");
                }
            }
            store.make_directory(back, backend, DOM0)?;
            store.make_directory(front, DOM0, backend)?;
            for (key, value) in &back_keys {
                store.write(&format!("{back}/{key}"), value)?;
            }
            for (key, value) in &front_keys {
                store.write(&format!("{front}/{key}"), value)?;
            }
            Ok(())
        })?;
        self.published.clear();
        Ok(())
    }

    fn set_attached(&mut self, is_attached: bool) -> Result<()> {
        self.is_attached = is_attached;
        match &mut self.sweeper {
            Some(sweeper) => sweeper.tell(is_attached),
            None => Ok(()),
        }
    }

    /// Writes the keys all at once, and takes back those of the last time.
    pub(super) fn publish(&mut self, keys: &Keys) -> Result<()> {
        let (front, old) = (&self.front, &self.published);
        self.store.transaction(|store| {
            for key in old.iter().filter(|key| *key != "state") {
                store.remove(&format!("{front}/{key}"))?;
            }
            for (key, value) in keys {
                store.write(&format!("{front}/{key}"), value)?;
            }
            Ok(())
        })?;
        self.published = keys.iter().map(|(key, _)| key.clone()).collect();
        Ok(())
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.store.write(&format!("{}/{key}", self.front), value)
    }

    pub(super) fn set_state(&mut self, state: u32) -> Result<()> {
        self.set("state", &state.to_string())
    }

    pub(super) fn unset(&mut self, key: &str) -> Result<()> {
        self.store.remove(&format!("{}/{key}", self.front))
    }

    /// Writes a node of the backend's directory.
    pub(super) fn tell(&mut self, key: &str, value: &str) -> Result<()> {
        self.store.write(&format!("{}/{key}", self.back), value)
    }

    /// A node of the backend's directory, if it is there.
    pub(super) fn read(&mut self, key: &str) -> Result<Option<String>> {
        self.store.read(&format!("{}/{key}", self.back))
    }

    /// Its number, if it is there and is one.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<u64>> {
        Ok(self.read(key)?.and_then(|text| text.parse().ok()))
    }

    fn back_state(&mut self) -> Result<BackState> {
        Ok(match self.read("state")? {
            Some(text) => match text.parse() {
                Ok(state) => BackState::State(state),
                Err(_) => BackState::Odd(text),
            },
            None if self.store.read(&self.back)?.is_none() => BackState::Gone,
            None => BackState::Odd(String::new()),
        })
    }

    /// Waits until the backend is one of these; says what it is then.
    pub(super) fn wait(&mut self, awaited: &[Awaited], limit: Duration) -> Result<BackState> {
        let deadline = Instant::now() + limit;
        loop {
            let state = self.back_state()?;
            if awaited.iter().any(|one| state.is(*one)) {
                return Ok(state);
            }
            if !self.store.wait(deadline)? {
                let limit = limit.as_millis();
                bail!("the backend's state is {state} after {limit} ms, not {awaited:?}");
            }
        }
    }

    /// What libxl does to have the device removed, and with `follows` what the frontend does then.
    pub(super) fn detach(&mut self, follows: bool, limit: Duration) -> Result<String> {
        let start = Instant::now();
        let back = &self.back;
        self.store.transaction(|store| {
            store.write(&format!("{back}/online"), "0")?;
            store.write(&format!("{back}/state"), &CLOSING.to_string())
        })?;
        if follows {
            self.set_state(CLOSED)?;
        }
        self.wait_for_the_end(start, limit)
    }

    /// The frontend's nodes go while the backend is told to close.
    pub(super) fn force(&mut self, limit: Duration) -> Result<String> {
        let start = Instant::now();
        let (front, back) = (&self.front, &self.back);
        self.store.transaction(|store| {
            remove_with_parents(store, front)?;
            if store.read(&format!("{back}/state"))?.is_some() {
                store.write(&format!("{back}/online"), "0")?;
                store.write(&format!("{back}/state"), &CLOSING.to_string())?;
            }
            Ok(())
        })?;
        self.wait_for_the_end(start, limit)
    }

    /// Waits for Closed, then for the directory to go, and removes the rest. libxl removes the
    /// directory itself only if the backend is in its own domain.
    fn wait_for_the_end(&mut self, start: Instant, limit: Duration) -> Result<String> {
        self.wait(&[Awaited::State(CLOSED), Awaited::Gone], limit)?;
        let closed = start.elapsed().as_millis();
        if self.options.backend != DOM0 {
            self.wait(&[Awaited::Gone], limit)?;
        }
        let gone = start.elapsed().as_millis();
        self.vanish()?;
        Ok(format!("closed={closed} gone={gone}"))
    }

    /// Removes both directories at once, and what is empty above them.
    pub(super) fn vanish(&mut self) -> Result<()> {
        let paths = [&self.front, &self.back, &self.mark];
        self.store.transaction(|store| {
            let mut paths = paths.into_iter();
            paths.try_for_each(|path| remove_with_parents(store, path))
        })?;
        self.set_attached(false)
    }

    /// Leaves no nodes, if need be without the backend's consent.
    pub(super) fn leave(&mut self, limit: Duration) -> Result<()> {
        if !self.is_attached {
            return Ok(());
        }
        let left = self.force(limit);
        if left.is_err() {
            self.vanish()?;
        }
        left.map(drop)
    }
}

/// Removes a node, and those above it that have no other children, up to a domain's.
fn remove_with_parents(store: &mut Store, path: &str) -> Result<()> {
    store.remove(path)?;
    let mut path = path;
    while let Some((parent, _)) = path.rsplit_once('/') {
        // "/local/domain/N" has three.
        if parent.matches('/').count() <= 3 || !store.list(parent)?.is_empty() {
            break;
        }
        store.remove(parent)?;
        path = parent;
    }
    Ok(())
}

/// What libxl writes for the backend, or is to write.
fn back_keys(options: &Options, front: &str) -> Keys {
    let keys = [
        ("frontend", front),
        ("params", &options.params),
        ("script", "/etc/xen/scripts/block"),
        ("frontend-id", &DOM0.to_string()),
        ("online", "1"),
        ("removable", "1"),
        ("bootable", "1"),
        ("state", &INITIALISING.to_string()),
        ("dev", &name(options.vdev)),
        ("type", "phy"),
        ("mode", &options.mode),
        ("device-type", "disk"),
        ("discard-enable", "1"),
        ("specification", "xen"),
    ];
    with(&keys, &options.back)
}

/// The same for the frontend.
fn front_keys(options: &Options, back: &str) -> Keys {
    let keys = [
        ("backend", back),
        ("backend-id", &options.backend.to_string()),
        ("state", &INITIALISING.to_string()),
        ("virtual-device", &options.vdev.to_string()),
        ("device-type", "disk"),
        ("trusted", "1"),
    ];
    with(&keys, &options.front)
}

fn with(keys: &[(&str, &str)], others: &[(String, String)]) -> Keys {
    let mut keys: Keys = keys
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    for (key, value) in others {
        keys.retain(|(name, _)| name != key);
        keys.push((key.clone(), value.clone()));
    }
    keys
}

/// What the virtual device is called: `xvda` and so on, or its number.
fn name(vdev: u32) -> String {
    const XVD: u32 = 202 << 8;
    let letter = vdev.checked_sub(XVD).filter(|minor| minor % 16 == 0);
    let letter = letter.and_then(|minor| b"abcdefghijklmnop".get(minor as usize / 16));
    letter.map_or_else(
        || vdev.to_string(),
        |letter| format!("xvd{}", char::from(*letter)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_called_as_xl_calls_it() {
        let names = [51712, 51728, 51952, 51713, 51968, 268_439_552].map(name);
        assert_eq!(
            names,
            ["xvda", "xvdb", "xvdp", "51713", "51968", "268439552"]
        );
    }

    #[test]
    fn others_take_the_place_of_libxls_keys() {
        let others = [
            ("mode".to_owned(), "r".to_owned()),
            ("x".to_owned(), String::new()),
        ];
        let keys = with(&[("mode", "w"), ("online", "1")], &others);
        let text: Vec<String> = keys
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(text, ["online=1", "mode=r", "x="]);
    }
}
