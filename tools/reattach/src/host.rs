//! What is asked of dom0.

use std::time::Duration;

use anyhow::Result;

/// dom0: xenstore, `xl` and time.
pub(crate) trait Host {
    /// A node's value; `None` if there is no such node.
    ///
    /// # Errors
    /// If xenstore does not answer, or the value is no text.
    fn read(&mut self, path: &str) -> Result<Option<String>>;

    /// The names of a node's children; none if there is no such node.
    ///
    /// # Errors
    /// If xenstore does not answer, or there are more than fit one of its messages.
    fn list(&mut self, path: &str) -> Result<Vec<String>>;

    /// Runs `xl` with these words, as they are: there is no shell. `Err` has what it said if it
    /// failed, or did not end in time.
    ///
    /// # Errors
    /// If it cannot be started.
    fn xl(&mut self, words: &[&str]) -> Result<Result<(), String>>;

    /// Lets time pass.
    fn pause(&mut self, time: Duration);

    /// Tells the administrator.
    fn say(&mut self, line: &str);
}
