//! Prometheus' text format, version 0.0.4.

use alloc::string::String;
use core::fmt::{self, Display};
use core::time::Duration;

use crate::text::put;

/// The type of such a text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels with their values.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// A text under way. A family is begun before its samples, and all of those follow it.
#[derive(Default)]
pub struct Exposition {
    text: String,
    family: &'static str,
}

/// A label's value: the format escapes three characters.
struct Value<'a>(&'a str);

impl Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A time in seconds, as the format wants it.
pub struct Seconds(pub Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

impl Exposition {
    /// Begins a family that only grows.
    pub fn counter(&mut self, name: &'static str, help: &str) {
        self.begin(name, "counter", help);
    }

    /// Begins a family that goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) {
        self.begin(name, "gauge", help);
    }

    /// Begins a family of histograms.
    pub fn histogram(&mut self, name: &'static str, help: &str) {
        self.begin(name, "histogram", help);
    }

    fn begin(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        put(
            &mut self.text,
            format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
        );
    }

    /// A sample of the family.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.part("", labels, None, &value);
    }

    /// A sample of a histogram: `_bucket` with its bound, `_sum` or `_count`.
    pub fn part(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: &dyn Display,
    ) {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        let mut before = '{';
        let bound = bound.iter().map(|bound| ("le", *bound));
        for (name, label) in labels.iter().copied().chain(bound) {
            put(
                &mut self.text,
                format_args!("{before}{name}=\"{}\"", Value(label)),
            );
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        put(&mut self.text, format_args!(" {value}\n"));
    }

    /// All of it.
    #[must_use]
    pub fn text(self) -> String {
        self.text
    }
}
