//! The backend's carrier: whether its side is up.

use core::convert::Infallible;
use core::future::pending;

use exec::{Level, Log};
use hv::Hypervisor;
use xenbus::{Frontend, Watch};

use crate::connection::Connection;
use crate::keys;

/// What is known of a connection's carrier. A link is of use without knowing.
#[derive(Default)]
pub(crate) struct Carrier {
    /// `None`, if it is not watched (any more).
    watch: Option<Watch>,
    /// It may have come or gone since it was read.
    changed: bool,
}

impl Carrier {
    /// Watches the carrier. Of no need: who cannot watch it takes it to be up.
    pub(crate) async fn watch(frontend: &Frontend) -> Self {
        let path = alloc::format!("{}/carrier", frontend.backend_path());
        Self {
            watch: frontend.store().watch(&path).await.ok(),
            changed: false,
        }
    }

    /// Tells the connection of each change. Never ends, and may be dropped at any moment: what was
    /// not read then is read the next time.
    pub(crate) async fn follow<H: Hypervisor>(
        &mut self,
        frontend: &Frontend,
        connection: &Connection<H>,
        (log, name): (&Log, &str),
    ) -> Infallible {
        loop {
            if self.changed {
                let up = keys::carrier(frontend).await;
                self.changed = false;
                if let Some(up) = up {
                    if connection.carrier() != up {
                        let text =
                            format_args!("the carrier is {}", if up { "there" } else { "gone" });
                        log.limited(Level::Info, name, text);
                    }
                    connection.set_carrier(up);
                }
            }
            match &self.watch {
                Some(watch) if watch.changed().await.is_ok() => self.changed = true,
                Some(_) => self.watch = None,
                None => pending().await,
            }
        }
    }
}
