//! What changed below a watched node; pure.

use alloc::collections::BTreeSet;
use alloc::string::String;

/// Paths kept apart between two waits; with more of them, everything may have changed.
pub(crate) const DISTINCT: usize = 64;
/// The longest path kept, in bytes. Domains' and devices' numbers are shorter.
const LONGEST: usize = 64;

/// What changed between two waits of a [`TreeWatch`](crate::TreeWatch).
///
/// It is never larger than 64 paths of 64 bytes, whatever storm of changes there was (XSA-349).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Anything at or below the node: it was itself written, made or removed, or a node above it
    /// was removed; the watch is new, or new on this connection to the store; or more changed than
    /// is kept apart.
    Everything,
    /// Only what lies at or below these nodes: paths relative to the watched node, not longer than
    /// the depth that was asked for. There is at least one.
    Below(BTreeSet<String>),
}

impl Changes {
    /// Nothing has changed yet.
    pub(crate) const fn none() -> Self {
        Self::Below(BTreeSet::new())
    }

    /// Adds what another watch on the same node saw.
    pub(crate) fn add(&mut self, others: &Self) {
        match (&mut *self, others) {
            (Self::Below(places), Self::Below(others)) => {
                places.extend(others.iter().cloned());
                if places.len() > DISTINCT {
                    *self = Self::Everything;
                }
            }
            _ => *self = Self::Everything,
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::Below(places) if places.is_empty())
    }

    /// Adds a change at `path`, for a watch on `watched` that tells nodes apart down to `depth`.
    pub(crate) fn note(&mut self, watched: &str, depth: usize, path: &[u8]) {
        let Self::Below(places) = self else {
            return;
        };
        match place(watched, depth, path) {
            Some(place) if places.contains(place) => {}
            Some(place) if places.len() < DISTINCT => {
                places.insert(String::from(place));
            }
            _ => *self = Self::Everything,
        }
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::none()
    }
}

/// Where below `watched` a change at `path` is; `None` if that may be anywhere.
fn place<'a>(watched: &str, depth: usize, path: &'a [u8]) -> Option<&'a str> {
    let path = core::str::from_utf8(path).ok()?;
    let below = path.strip_prefix(watched.trim_end_matches('/'))?;
    let below = below.strip_prefix('/')?;
    let end = below.match_indices('/').nth(depth.checked_sub(1)?);
    let place = end.map_or(Some(below), |(end, _)| below.get(..end))?;
    (!place.is_empty() && place.len() <= LONGEST).then_some(place)
}
