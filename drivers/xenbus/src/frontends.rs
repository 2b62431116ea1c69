//! The watches on the domains whose devices are served here.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::task::Context;

use exec::Level;
use hv::DomId;

use crate::changes::Changes;
use crate::error::StoreError;
use crate::number;
use crate::routes::BackendRoutes;
use crate::store::Store;
use crate::watch::TreeWatch;

/// One watch for each domain that has a frontend of `kind`, and who is told what it says.
pub(crate) struct Frontends {
    store: Store,
    kind: String,
    routes: BackendRoutes,
    watches: BTreeMap<DomId, TreeWatch>,
}

impl Frontends {
    pub(crate) fn new(store: &Store, kind: &str, routes: &BackendRoutes) -> Self {
        Self {
            store: store.clone(),
            kind: String::from(kind),
            routes: routes.clone(),
            watches: BTreeMap::new(),
        }
    }

    /// Watches a domain's frontends, unless they are watched already. If the store does not want
    /// to, their backends look once a second.
    ///
    /// # Errors
    /// The store is lost.
    pub(crate) async fn watch(&mut self, domain: DomId) -> Result<(), StoreError> {
        if self.watches.contains_key(&domain) {
            return Ok(());
        }
        let path = format!("/local/domain/{domain}/device/{}", self.kind);
        match self.store.watch_tree(&path, 1).await {
            Ok(watch) => {
                self.watches.insert(domain, watch);
                self.routes.note_watched(domain);
                Ok(())
            }
            Err(lost @ StoreError::Lost(_)) => Err(lost),
            Err(error) => {
                lose(&self.store, &self.routes, domain, error);
                Ok(())
            }
        }
    }

    /// Stops watching a domain that has no device here any more; whether there was a watch, which
    /// another domain may need.
    pub(crate) fn unwatch(&mut self, domain: DomId) -> bool {
        self.routes.note_watched(domain);
        self.watches.remove(&domain).is_some()
    }

    /// Passes on what changed; whether anything did.
    pub(crate) fn hear(&mut self) -> bool {
        let Self {
            store,
            routes,
            watches,
            ..
        } = self;
        let mut heard = false;
        watches.retain(|domain, watch| {
            if let Some(changes) = watch.take() {
                heard = true;
                pass_on(routes, *domain, &changes);
            }
            let failed = watch.check().err();
            if let Some(error) = failed {
                lose(store, routes, *domain, error);
            }
            failed.is_none()
        });
        heard
    }

    /// Whether there may be something to [`hear`](Self::hear).
    pub(crate) fn poll_changed(&self, context: &mut Context<'_>) -> bool {
        // All of them, so that each knows whom to wake.
        let changed = |watch: &&TreeWatch| watch.poll_changed(context).is_ready();
        self.watches.values().filter(changed).count() > 0
    }
}

fn pass_on(routes: &BackendRoutes, domain: DomId, changes: &Changes) {
    match changes {
        Changes::Everything => routes.tell_of_frontend(|frontend, _| frontend == domain),
        Changes::Below(places) => {
            for device in places.iter().filter_map(|name| number::parse(name).ok()) {
                routes.tell_of_frontend(|frontend, number| frontend == domain && number == device);
            }
        }
    }
}

/// Takes note that a domain's frontends are not watched.
fn lose(store: &Store, routes: &BackendRoutes, domain: DomId, error: StoreError) {
    if routes.note_unwatched(domain) {
        let text = format_args!(
            "frontends in domain {domain} are not watched but looked at each second: {error}"
        );
        store.log().limited(Level::Warn, "xenbus", text);
    }
}
