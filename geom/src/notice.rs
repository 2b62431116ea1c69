//! What an embedder may want to log: there is no log in here, so lines wait until they are taken.

use alloc::collections::VecDeque;
use alloc::string::String;

/// How many lines wait; older ones are dropped then.
const KEPT: usize = 128;

/// A bounded queue of lines.
#[derive(Default)]
pub(crate) struct Notices {
    lines: VecDeque<String>,
}

impl Notices {
    pub(crate) fn add(&mut self, line: String) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn take(&mut self) -> Option<String> {
        self.lines.pop_front()
    }
}
