//! The text of `help`.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use crate::table::{self, Entry};

/// A usage longer than this has what it does on the next line.
const COLUMN: usize = 40;

/// Every command and every key, a line each.
#[must_use]
pub fn all() -> String {
    let lines = |entries: &[(String, &str)]| {
        let widths = entries.iter().map(|(usage, _)| usage.len());
        let width = widths.filter(|width| *width <= COLUMN).max().unwrap_or(0);
        entries
            .iter()
            .fold(String::new(), |mut text, (usage, about)| {
                // Writing to a String cannot fail.
                let _ = if usage.len() <= width {
                    writeln!(text, "  {usage:width$}  {about}")
                } else {
                    writeln!(text, "  {usage}\n  {:width$}  {about}", "")
                };
                text
            })
    };
    let commands = table::commands().map(|entry| (command_usage(entry), entry.about));
    let keys = table::keys().map(|(entry, _)| (key_usage(entry), entry.about));
    format!(
        "Commands; several on a line are separated by `;`, ^C ends one that runs:\n{}\
         Numbers: 512, 0x200, 4k, 1M, 2G. Kernel command line:\n{}",
        lines(&commands.collect::<alloc::vec::Vec<_>>()),
        lines(&keys.collect::<alloc::vec::Vec<_>>()),
    )
}

/// How the command called `name` is used; all of them if it is the first word of several. `None` if
/// there is no such command.
#[must_use]
pub fn of(name: &str) -> Option<String> {
    let mut text = String::new();
    for entry in table::commands() {
        let grouped = entry
            .name
            .split_once(' ')
            .is_some_and(|(group, _)| group == name);
        if entry.name == name || grouped {
            let _ = writeln!(text, "{}: {}", command_usage(entry), entry.about);
        }
    }
    (!text.is_empty()).then_some(text)
}

/// A command as it is typed.
#[must_use]
pub fn command_usage(entry: &Entry) -> String {
    table::usage(entry.name, entry.arguments)
}

/// A key as it stands on the kernel command line.
#[must_use]
pub fn key_usage(entry: &Entry) -> String {
    format!("{}={}", entry.name, entry.arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_every_command_and_key_with_what_it_does() {
        let text = all();
        for entry in table::TABLE {
            let usage = match entry.action {
                table::Action::Command { .. } => command_usage(entry),
                table::Action::Key { .. } => key_usage(entry),
            };
            let mut lines = text.lines().skip_while(|line| {
                let rest = line.trim_start().strip_prefix(&*usage);
                !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("  "))
            });
            let mut about = lines.next().unwrap_or_default();
            if about.trim_start() == usage {
                about = lines.next().unwrap_or_default();
            }
            assert!(about.ends_with(entry.about), "{}", entry.name);
        }
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }

    #[test]
    fn help_for_one_command_and_for_a_group() {
        assert_eq!(
            of("sum").unwrap(),
            "sum PROVIDER [OFFSET LENGTH]: SHA-256 of a provider's bytes\n"
        );
        assert_eq!(of("geom").unwrap().lines().count(), 4);
        assert_eq!(of("geom dot").unwrap().lines().count(), 1);
        assert_eq!(of("run"), None);
    }
}
