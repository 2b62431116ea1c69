//! A real dom0.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::host::Host;
use crate::process;
use crate::store::Store;

/// How long one `xl` may take. Its own limits are 10 s for a device that is to come, and twice that
/// for one that is to go.
const XL: Duration = Duration::from_secs(60);

/// This dom0.
pub(crate) struct Dom0 {
    store: Store,
}

impl Dom0 {
    /// Connects to xenstore.
    pub(crate) fn open() -> Result<Self> {
        Ok(Self {
            store: Store::open()?,
        })
    }
}

impl Host for Dom0 {
    fn read(&mut self, path: &str) -> Result<Option<String>> {
        self.store.read(path)
    }

    fn list(&mut self, path: &str) -> Result<Vec<String>> {
        self.store.list(path)
    }

    fn xl(&mut self, words: &[&str]) -> Result<Result<(), String>> {
        process::run("xl", words, XL)
    }

    fn pause(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn say(&mut self, line: &str) {
        println!("{line}");
    }
}
