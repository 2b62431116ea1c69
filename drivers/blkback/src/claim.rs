//! Who serves which export, where a domain has several run loops.
//!
//! Whose an export is follows from its provider, and the toolstack may make it anew of another one
//! while the run loop that served it before has not let go of it. Two that act on the same nodes
//! would throw each other's clients out, so one waits for the other.

use alloc::collections::BTreeMap;

use exec::Latest;
use hv::DomId;

/// Whether exports of a provider are served here; of none, those whose provider is not known.
pub(crate) type Ours = dyn Fn(Option<&str>) -> bool;

/// Whose connection it is: the frontend's domain and its device's number.
pub(crate) type Key = (DomId, u32);

/// The exports that are served by any run loop of the domain. Clones are the same ones.
#[derive(Clone)]
pub struct Claims(Latest<BTreeMap<Key, Claimed>>);

#[derive(Default)]
struct Claimed {
    is_served: bool,
    /// Connections that have ended here and whose frontends have not let go.
    formers: usize,
    /// These are to end.
    superseded: bool,
}

/// The right to serve an export; dropping it gives that back.
pub(crate) struct Claim {
    claims: Claims,
    key: Key,
}

/// A connection that has ended on this side, as others know it; dropping it says that it is over.
pub(crate) struct Ended {
    claims: Claims,
    key: Key,
}

impl Default for Claims {
    fn default() -> Self {
        Self(Latest::new(BTreeMap::new()))
    }
}

impl Claims {
    /// The right to serve an export, unless somebody has it.
    pub(crate) fn serve(&self, key: Key) -> Option<Claim> {
        let claims = self.clone();
        let is_free = |claimed: &mut Claimed| !core::mem::replace(&mut claimed.is_served, true);
        self.change(key, is_free).then(|| Claim { claims, key })
    }

    /// Counts a connection of the export that has ended.
    pub(crate) fn ended(&self, key: Key) -> Ended {
        self.change(key, |claimed| claimed.formers += 1);
        let claims = self.clone();
        Ended { claims, key }
    }

    /// The export is connected anew: has those end that were before, and says whether there is one
    /// that has not.
    pub(crate) fn supersede(&self, key: Key) -> bool {
        self.change(key, |claimed| {
            claimed.superseded = claimed.formers > 0;
            claimed.superseded
        })
    }

    fn change<T>(&self, key: Key, change: impl FnOnce(&mut Claimed) -> T) -> T {
        self.0.with(|all| {
            let claimed = all.entry(key).or_default();
            let changed = change(claimed);
            if !claimed.is_served && claimed.formers == 0 {
                all.remove(&key);
            }
            changed
        })
    }
}

impl Ended {
    /// Whether another connection takes its place: the frontend may use its pages for that.
    pub(crate) fn is_superseded(&self) -> bool {
        self.claims.change(self.key, |claimed| claimed.superseded)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims
            .change(self.key, |claimed| claimed.is_served = false);
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.claims.change(self.key, |claimed| {
            claimed.formers -= 1;
            claimed.superseded &= claimed.formers > 0;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (DomId(3), 51712);

    #[test]
    fn one_serves_an_export_until_it_lets_go() {
        let claims = Claims::default();
        let claim = claims.serve(KEY);
        assert!(claim.is_some());
        assert!((0..2).all(|_| claims.clone().serve(KEY).is_none()));
        assert!(claims.serve((DomId(3), 51728)).is_some());
        drop(claim);
        assert!(claims.serve(KEY).is_some());
        assert!(claims.0.with(|all| all.is_empty()));
    }

    #[test]
    fn what_ended_before_is_told_to_go_when_another_connects_and_is_waited_for() {
        let claims = Claims::default();
        assert!(!claims.supersede(KEY));
        let ended = claims.ended(KEY);
        assert!(!ended.is_superseded());
        let claim = claims.serve(KEY);
        assert!(claim.is_some(), "it does not keep others from serving");
        assert!(claims.supersede(KEY) && ended.is_superseded());
        drop(ended);
        assert!(!claims.supersede(KEY));
        assert!(!claims.ended(KEY).is_superseded());
        drop(claim);
        assert!(claims.0.with(|all| all.is_empty()));
    }
}
