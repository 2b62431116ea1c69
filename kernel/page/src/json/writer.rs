//! JSON under way.

use alloc::format;
use alloc::string::String;
use core::fmt::Display;

use crate::text::put;

/// JSON under way. Commas come by themselves.
#[derive(Default)]
pub(super) struct Json(String);

impl Json {
    pub(super) fn comma(&mut self) {
        if !self.0.ends_with(['{', '[', ':']) && !self.0.is_empty() {
            self.0.push(',');
        }
    }

    pub(super) fn open(&mut self, bracket: char) {
        self.comma();
        self.0.push(bracket);
    }

    pub(super) fn close(&mut self, bracket: char) {
        self.0.push(bracket);
    }

    pub(super) fn key(&mut self, key: &str) {
        self.comma();
        put(&mut self.0, format_args!("\"{key}\":"));
    }

    /// A number or a truth value.
    pub(super) fn plain(&mut self, key: &str, value: impl Display) {
        self.key(key);
        put(&mut self.0, format_args!("{value}"));
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.quote(value);
    }

    pub(super) fn item(&mut self, value: &str) {
        self.comma();
        self.quote(value);
    }

    pub(super) fn quote(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if u32::from(c) < 0x20 => {
                    put(&mut self.0, format_args!("\\u{:04x}", u32::from(c)));
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    /// A list of objects.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        all: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        self.key(key);
        self.open('[');
        for one in all {
            self.open('{');
            each(self, one);
            self.close('}');
        }
        self.close(']');
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str, all: impl IntoIterator<Item = impl Display>) {
        self.key(key);
        self.open('[');
        all.into_iter().for_each(|one| self.item(&format!("{one}")));
        self.close(']');
    }

    /// All of it, as a line.
    pub(super) fn into_line(mut self) -> String {
        self.0.push('\n');
        self.0
    }
}
