//! What Tab may add.

use alloc::string::String;
use alloc::vec::Vec;

use crate::editor::last_word;
use crate::table::{self, Action, Completes};

/// The words that may stand where the last word of `before` is, `before` being the text left of the
/// cursor. `providers` is asked only when a provider may stand there.
pub fn candidates(before: &str, providers: impl FnOnce() -> Vec<String>) -> Vec<String> {
    let command = before.rsplit(';').next().unwrap_or_default();
    let done = &command[..last_word(command)];
    let done: Vec<&str> = done.split_whitespace().collect();
    let mut next: Vec<String> = Vec::new();
    for entry in table::commands() {
        let name: Vec<&str> = entry.name.split(' ').collect();
        if let Some(word) = name
            .strip_prefix(done.as_slice())
            .and_then(|rest| rest.first())
        {
            next.push((*word).into());
        }
    }
    next.dedup();
    if !next.is_empty() {
        return next;
    }
    let completes = table::commands().find_map(|entry| match entry.action {
        Action::Command { completes, .. } if entry.name.split(' ').eq(done.iter().copied()) => {
            Some(completes)
        }
        _ => None,
    });
    match completes {
        Some(Completes::Providers) => providers(),
        Some(Completes::Commands) => table::commands().map(|entry| entry.name.into()).collect(),
        Some(Completes::Nothing) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str) -> Vec<String> {
        candidates(before, || vec!["xbd0".into(), "xbd0p1".into()])
    }

    #[test]
    fn the_first_word_is_a_command_or_a_group() {
        let first = after("ge");
        assert!(first.contains(&"geom".into()) && first.contains(&"sum".into()));
        assert_eq!(first.iter().filter(|word| *word == "geom").count(), 1);
        assert_eq!(after("geom tree; x"), first);
    }

    #[test]
    fn the_second_word_of_a_group_is_one_of_its_commands() {
        assert_eq!(after("geom "), ["tree", "list", "dot", "json"]);
        assert_eq!(after("  xenstore   r"), ["ls", "read", "write"]);
        assert_eq!(after("disk l"), ["list"]);
    }

    #[test]
    fn a_provider_stands_where_one_is_asked_for_and_nowhere_else() {
        assert_eq!(after("sum x"), ["xbd0", "xbd0p1"]);
        assert_eq!(after("geom tree;fill "), ["xbd0", "xbd0p1"]);
        for before in [
            "sum xbd0 ",
            "geom tree ",
            "dmesg ",
            "unknown ",
            "xenstore read ",
        ] {
            assert!(after(before).is_empty(), "{before}");
        }
    }

    #[test]
    fn help_completes_to_commands() {
        assert!(after("help ").contains(&"geom tree".into()));
    }
}
