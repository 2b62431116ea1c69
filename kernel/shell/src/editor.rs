//! The line editor: bytes from a VT100 in, lines and echo out.
//!
//! It does no input or output of its own. Any byte is safe: what is neither text nor a known key is
//! dropped. Columns are counted as one per character, which is right for all the shell's own words.

mod history;
mod keys;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use history::History;
pub use history::LINES as HISTORY_LINES;
pub use keys::{Key, Keys};

/// The longest line, in bytes. A key that would go beyond it rings the bell.
pub const MAX_LINE: usize = 1024;

/// What the editor writes back to the terminal.
pub type Echo = String;

/// A line under edit.
#[derive(Debug)]
pub struct Editor {
    prompt: &'static str,
    keys: Keys,
    line: String,
    /// In bytes, on a character boundary of `line`.
    cursor: usize,
    history: History,
}

impl Editor {
    /// An empty line after `prompt`, which the caller shows with [`prompt`](Self::prompt).
    #[must_use]
    pub fn new(prompt: &'static str) -> Self {
        Self {
            prompt,
            keys: Keys::default(),
            line: String::new(),
            cursor: 0,
            history: History::default(),
        }
    }

    /// Shows the prompt and what is written so far, on a terminal line that is empty.
    pub fn prompt(&self, echo: &mut Echo) {
        echo.push_str(self.prompt);
        echo.push_str(&self.line);
        self.place_cursor(echo);
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Shows all of it in the place of what stands on the terminal's line.
    fn redraw(&self, echo: &mut Echo) {
        echo.push('\r');
        echo.push_str(self.prompt);
        echo.push_str(&self.line);
        echo.push_str("\x1b[K");
        self.place_cursor(echo);
    }

    fn place_cursor(&self, echo: &mut Echo) {
        let behind = self.line[self.cursor..].chars().count();
        if behind > 0 {
            // Writing to a String cannot fail.
            let _ = write!(echo, "\x1b[{behind}D");
        }
    }

    /// Takes the next byte. Returns the line when it is done, without its end, and starts an empty
    /// one; the caller shows the prompt when it is ready for more.
    ///
    /// `candidates` is asked on Tab what the text before the cursor may end with: the full words
    /// that may stand where its last word is.
    pub fn feed(
        &mut self,
        byte: u8,
        echo: &mut Echo,
        candidates: impl Fn(&str) -> Vec<String>,
    ) -> Option<String> {
        match self.keys.feed(byte)? {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4]), echo),
            Key::Enter => return Some(self.enter(echo)),
            Key::Tab => self.complete(echo, candidates),
            Key::Backspace => self.delete(self.before(), self.cursor, echo),
            Key::Delete => self.delete(self.cursor, self.after(), echo),
            Key::KillToStart => self.delete(0, self.cursor, echo),
            Key::KillToEnd => self.delete(self.cursor, self.line.len(), echo),
            Key::KillWord => self.delete(self.word_start(), self.cursor, echo),
            Key::Left => self.go(self.before(), echo),
            Key::Right => self.go(self.after(), echo),
            Key::Home => self.go(0, echo),
            Key::End => self.go(self.line.len(), echo),
            Key::Up => {
                let line = self.history.up(&self.line).map(String::from);
                self.replace(line, echo);
            }
            Key::Down => {
                let line = self.history.down().map(String::from);
                self.replace(line, echo);
            }
            Key::Clear => {
                echo.push_str("\x1b[H\x1b[2J");
                self.prompt(echo);
            }
            Key::Interrupt => {
                self.line.clear();
                self.cursor = 0;
                echo.push_str("^C\n");
                self.prompt(echo);
            }
        }
        None
    }

    fn enter(&mut self, echo: &mut Echo) -> String {
        echo.push('\n');
        self.cursor = 0;
        let line = core::mem::take(&mut self.line);
        self.history.add(&line);
        line
    }

    fn insert(&mut self, text: &str, echo: &mut Echo) {
        if self.line.len() + text.len() > MAX_LINE {
            echo.push('\x07');
            return;
        }
        self.line.insert_str(self.cursor, text);
        self.cursor += text.len();
        if self.cursor == self.line.len() {
            echo.push_str(text);
        } else {
            self.redraw(echo);
        }
    }

    fn delete(&mut self, from: usize, to: usize, echo: &mut Echo) {
        if from < to {
            self.line.replace_range(from..to, "");
            self.cursor = from;
            self.redraw(echo);
        }
    }

    fn go(&mut self, to: usize, echo: &mut Echo) {
        if to != self.cursor {
            self.cursor = to;
            self.redraw(echo);
        }
    }

    fn replace(&mut self, line: Option<String>, echo: &mut Echo) {
        if let Some(line) = line {
            self.cursor = line.len();
            self.line = line;
            self.redraw(echo);
        }
    }

    fn complete(&mut self, echo: &mut Echo, candidates: impl Fn(&str) -> Vec<String>) {
        let before = &self.line[..self.cursor];
        let word = &before[last_word(before)..];
        let mut fitting = candidates(before);
        fitting.retain(|candidate| candidate.starts_with(word));
        let Some(shared) = shared_start(&fitting) else {
            return;
        };
        let mut rest = String::from(&shared[word.len()..]);
        if fitting.len() == 1 {
            rest.push(' ');
        }
        if rest.is_empty() {
            // Nothing to add: show what there is to choose from.
            let _ = writeln!(echo, "\n{}", fitting.join("  "));
            self.prompt(echo);
        } else {
            self.insert(&rest, echo);
        }
    }

    /// The boundary before the cursor.
    fn before(&self) -> usize {
        let last = self.line[..self.cursor].chars().next_back();
        self.cursor - last.map_or(0, char::len_utf8)
    }

    /// The boundary after the cursor.
    fn after(&self) -> usize {
        let next = self.line[self.cursor..].chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }

    fn word_start(&self) -> usize {
        let before = self.line[..self.cursor].trim_end();
        before.rfind(char::is_whitespace).map_or(0, |blank| {
            blank + before[blank..].chars().next().map_or(0, char::len_utf8)
        })
    }
}

/// Where the last word of `text` starts: after its last blank or `;`.
#[must_use]
pub fn last_word(text: &str) -> usize {
    let cut = |c: char| c.is_whitespace() || c == ';';
    let end = text.char_indices().rev().find(|&(_, c)| cut(c));
    end.map_or(0, |(at, c)| at + c.len_utf8())
}

/// What all of `words` start with; `None` when there are none.
fn shared_start(words: &[String]) -> Option<&str> {
    let (first, others) = words.split_first()?;
    let mut shared = first.len();
    for other in others {
        let same = first.char_indices().zip(other.chars());
        let end = same.take_while(|&((_, a), b)| a == b).last();
        shared = shared.min(end.map_or(0, |((at, c), _)| at + c.len_utf8()));
    }
    Some(&first[..shared])
}
