//! What a controller reports of its own accord (NVM Express 1.4, 5.2).

use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use exec::{Level, warn};
use hv::Hypervisor;

use crate::command::LOG_CHANGED_NAMESPACES;
use crate::controller::Controller;
use crate::fault::Fault;
use crate::health::Health;
use crate::identify::controller::ControllerFacts;

/// A controller that has ever more to report is heard once in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// How often a controller is asked for its health, which it reports only when it is critical.
const ASKED: Duration = Duration::from_secs(60);

/// What kind of event it is, in the low bits.
const KIND_ERROR: u32 = 0;
const KIND_HEALTH: u32 = 1;
const KIND_NOTICE: u32 = 2;

impl<H: Hypervisor> Controller<H> {
    /// Hears what the controller reports, until it cannot go on.
    pub(crate) async fn hear(&self, facts: &ControllerFacts) -> Result<(), Fault> {
        loop {
            let event = self.next_event().await?;
            self.pv.exec.sleep(PAUSE).await;
            let (kind, what, log) = (event & 7, event >> 8 & 0xff, event >> 16 & 0xff);
            // The controller reports nothing of the kind again until its log was read.
            let length = match log {
                LOG_CHANGED_NAMESPACES => 4096,
                // One entry of the error log.
                1 => 64,
                _ => 512,
            };
            let page = self.log_page(log, length).await?;
            match (kind, page) {
                (KIND_HEALTH, Ok(page)) => self.warn_of(&Health::parse(&page)),
                (KIND_NOTICE, _) if what == 0 => self.scan(facts).await?,
                (KIND_ERROR, _) => {
                    let text = format_args!("it reports error {what} of its own");
                    self.pv.log.limited(Level::Warn, &self.name, text);
                }
                _ => {
                    let text = format_args!("event {event:#x}");
                    self.pv.log.limited(Level::Debug, &self.name, text);
                }
            }
        }
    }

    /// Waits until the controller reports something, and asks for its health meanwhile.
    async fn next_event(&self) -> Result<u32, Fault> {
        let event = async {
            match self.event().await? {
                Some(event) => Ok(event),
                // It reports nothing.
                None => pending().await,
            }
        };
        let mut event = pin!(event);
        loop {
            match self.pv.exec.timeout(ASKED, event.as_mut()).await {
                Ok(event) => return event,
                Err(_elapsed) => self.look_after_health().await?,
            }
        }
    }

    /// Asks for the controller's health, if it says.
    pub(crate) async fn look_after_health(&self) -> Result<(), Fault> {
        if let Some(health) = self.read_health().await? {
            self.warn_of(&health);
        }
        Ok(())
    }

    /// Keeps what a controller says of its health, and says what has become critical.
    fn warn_of(&self, health: &Health) {
        let before = self.standing.borrow_mut().health.replace(*health);
        for warning in health.new_warnings(before.as_ref()) {
            warn!(self.pv.log, &self.name, "{warning}");
        }
    }
}
