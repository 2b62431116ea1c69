//! Which functions the backend has for this domain.

use alloc::format;
use alloc::vec::Vec;

use frontend::Failure;
use xenbus::{Frontend, KeyError, KeyFault, StoreError};

use crate::Address;

/// Functions that are looked at; libxl allows a domain fewer than that.
const MOST: u32 = 64;
/// XenbusState of one that is to go.
const CLOSING: u32 = 5;

/// What the backend's directory says.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// Those that are there.
    pub(crate) present: Vec<Address>,
    /// Those that are to go.
    pub(crate) leaving: Vec<Address>,
    /// How many there were too many, or not to be understood.
    pub(crate) odd: u32,
}

impl List {
    /// Reads it.
    pub(crate) async fn read(frontend: &Frontend) -> Result<Self, Failure> {
        let count: u32 = frontend.read_backend("num_devs").await?;
        let mut list = Self {
            odd: count.saturating_sub(MOST),
            ..Self::default()
        };
        for number in 0..count.min(MOST) {
            list.add(frontend, number).await?;
        }
        Ok(list)
    }

    async fn add(&mut self, frontend: &Frontend, number: u32) -> Result<(), Failure> {
        // One whose nodes are gone, or not there yet.
        let Some(place) = known(frontend.read_backend_text(&format!("vdev-{number}")).await)?
        else {
            return Ok(());
        };
        let state: u32 =
            known(frontend.read_backend(&format!("state-{number}")).await)?.unwrap_or(0);
        let seen = |address| self.present.contains(&address) || self.leaving.contains(&address);
        match Address::parse(&place) {
            Some(address) if seen(address) => self.odd += 1,
            Some(address) if state >= CLOSING => self.leaving.push(address),
            Some(address) => self.present.push(address),
            None => self.odd += 1,
        }
        Ok(())
    }
}

/// What a node holds; `None` if it is not there, or holds what it cannot.
fn known<T>(read: Result<T, KeyError>) -> Result<Option<T>, Failure> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(KeyError {
            fault: KeyFault::Store(error @ (StoreError::TimedOut | StoreError::Lost(_))),
            ..
        }) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
