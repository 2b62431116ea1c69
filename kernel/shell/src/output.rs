//! Where commands write.

use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use core::fmt::{self, Write};

use exec::Notify;

/// How much may wait before a command that goes on and on has to.
const FULL: usize = 4096;

/// Text on its way to the console; clones write to the same one. Lines end with a line feed.
///
/// Writing never waits. A command that writes much calls [`room`](Self::room) between its lines.
#[derive(Clone, Default)]
pub struct Output {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    text: RefCell<String>,
    written: Notify,
    taken: Notify,
}

impl Output {
    /// Nothing is written yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `text`.
    pub fn write(&self, text: &str) {
        self.inner.text.borrow_mut().push_str(text);
        self.inner.written.notify();
    }

    /// Writes a formatted line and its end.
    pub fn line(&self, text: fmt::Arguments<'_>) {
        let mut into = self.inner.text.borrow_mut();
        // Writing to a String cannot fail.
        let _ = writeln!(into, "{text}");
        drop(into);
        self.inner.written.notify();
    }

    /// Waits until there is room for more. For one command at a time.
    pub async fn room(&self) {
        while self.inner.text.borrow().len() >= FULL {
            self.inner.taken.notified().await;
        }
    }

    /// Waits until something is written; returns all of it. For one reader: the shell.
    pub async fn take(&self) -> String {
        loop {
            let text = self.try_take();
            if !text.is_empty() {
                return text;
            }
            self.inner.written.notified().await;
        }
    }

    /// All that is written and was not taken yet.
    #[must_use]
    pub fn try_take(&self) -> String {
        let text = self.inner.text.take();
        self.inner.taken.notify();
        text
    }
}
