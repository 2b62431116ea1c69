//! The lines entered before.

use alloc::collections::VecDeque;
use alloc::string::String;

/// How many lines are remembered.
pub const LINES: usize = 64;

/// The lines entered before, and where in them the user is looking.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Oldest first.
    lines: VecDeque<String>,
    /// How far back the user went; 0 is the line being written.
    back: usize,
    /// The line being written, kept while the user looks back.
    draft: String,
}

impl History {
    /// Remembers `line`, unless it is blank or the same as the last one; looks at the end again.
    pub(super) fn add(&mut self, line: &str) {
        self.back = 0;
        self.draft.clear();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.into());
    }

    /// The line before the one shown now, which is `shown`; `None` at the oldest.
    pub(super) fn up(&mut self, shown: &str) -> Option<&str> {
        if self.back == self.lines.len() {
            return None;
        }
        if self.back == 0 {
            self.draft = shown.into();
        }
        self.back += 1;
        self.at()
    }

    /// The line after the one shown now; `None` at the line being written.
    pub(super) fn down(&mut self) -> Option<&str> {
        self.back = self.back.checked_sub(1)?;
        self.at()
    }

    fn at(&self) -> Option<&str> {
        match self.back {
            0 => Some(&self.draft),
            back => self.lines.get(self.lines.len() - back).map(String::as_str),
        }
    }
}
