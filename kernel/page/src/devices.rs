//! Devices as xenstore has them: this domain's frontends and backends, each with its peer's state.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use xenbus::state::{self, XenbusState};
use xenbus::{Store, number};

/// How many devices are looked at.
const MOST: usize = 64;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest text that is taken from the store, in bytes.
const TEXT: usize = 200;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceState {
    /// Whether the driver at this end is the backend.
    pub is_backend: bool,
    /// Such as `vbd`.
    pub kind: String,
    /// Its number.
    pub number: String,
    /// The domain at the other end, as the store names it.
    pub peer: String,
    /// This end's state.
    pub state: XenbusState,
    /// The other end's, if it can be read.
    pub peer_state: Option<XenbusState>,
    /// What went wrong; empty if nothing did.
    pub error: String,
}

/// All devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Those that were looked at.
    pub all: Vec<DeviceState>,
    /// There may be more: there are too many, or the store did not answer in time.
    pub more: bool,
}

/// Looks at the devices there are now.
pub async fn look(store: &Store) -> Devices {
    let mut all = Vec::new();
    let looking = add_all(store, &mut all);
    let finished = store.exec().timeout(PATIENCE, looking).await;
    let more = !matches!(finished, Ok(true));
    Devices { all, more }
}

/// `device/KIND/NUMBER` and `backend/KIND/DOMAIN/NUMBER`. Whether that is all.
async fn add_all(store: &Store, all: &mut Vec<DeviceState>) -> bool {
    for (root, depth) in [("device", 2), ("backend", 3)] {
        let mut paths = vec![String::from(root)];
        for _ in 0..depth {
            paths = below(store, &paths).await;
        }
        for own in paths {
            // `device/suspend/event-channel`, for one, is no device.
            let number = own.rsplit('/').next().unwrap_or_default();
            if number::parse::<u32>(number).is_err() {
                continue;
            }
            if all.len() == MOST {
                return false;
            }
            all.push(device(store, &own).await);
        }
    }
    true
}

/// The nodes below these, as far as they can be read and are not far too many.
async fn below(store: &Store, paths: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for path in paths {
        let names = store.list(path).await.unwrap_or_default();
        all.extend(names.iter().map(|name| format!("{path}/{name}")));
        all.truncate(2 * MOST);
    }
    all
}

/// The device whose driver at this end has the directory `own`.
async fn device(store: &Store, own: &str) -> DeviceState {
    let mut parts = own.split('/');
    let is_backend = parts.next() == Some("backend");
    let kind = parts.next().unwrap_or_default();
    let other = if is_backend { "frontend" } else { "backend" };
    let mut paths = vec![
        format!("{own}/state"),
        format!("{own}/{other}-id"),
        format!("error/{own}/error"),
        format!("{own}/{other}"),
    ];
    let mut texts = Vec::new();
    let mut next = 0;
    while let Some(path) = paths.get(next) {
        next += 1;
        let mut text = store.read(path).await.unwrap_or_default();
        let end = (0..=TEXT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        // The last one leads to the other end. Only a state is shown of what is there.
        if texts.len() == 3 && !text.is_empty() {
            paths.push(format!("{text}/state"));
        }
        texts.push(text);
    }
    let mut texts = texts.into_iter();
    let mut text = || texts.next().unwrap_or_default();
    let (state, peer, error, _) = (text(), text(), text(), text());
    let peer_state = text();
    DeviceState {
        is_backend,
        kind: kind.into(),
        number: own.rsplit('/').next().unwrap_or_default().into(),
        peer,
        state: state::parse(&state),
        peer_state: (!peer_state.is_empty()).then(|| state::parse(&peer_state)),
        error,
    }
}
