//! `COMMANDS.md` says what the table says.
//!
//! After a change to the table: `XENOLITH_BLESS=1 cargo test -p shell --test documents`.

use shell::{help, table};

fn document() -> String {
    let mut text = String::from(
        "# The shell's commands, and the keys of the kernel command line\n\n\
         Written by `kernel/shell/tests/documents.rs` from `kernel/shell/src/table.rs`; do not \
         edit.\n\n\
         | command | what it does |\n| --- | --- |\n",
    );
    for entry in table::commands() {
        let usage = help::command_usage(entry).replace('|', "\\|");
        text += &format!(
            "| `{usage}` | {} |
",
            entry.about
        );
    }
    text.push_str("\n| key | what it does |\n| --- | --- |\n");
    for (entry, _) in table::keys() {
        let usage = help::key_usage(entry).replace('|', "\\|");
        text += &format!("| `{usage}` | {} |\n", entry.about);
    }
    text
}

#[test]
fn the_document_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/COMMANDS.md");
    if std::env::var_os("XENOLITH_BLESS").is_some() {
        std::fs::write(path, document()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == document(),
        "{path} is out of date: XENOLITH_BLESS=1 cargo test -p shell --test documents writes it"
    );
}

#[test]
fn every_name_stands_once_in_the_table() {
    for entry in table::TABLE {
        let same = table::TABLE.iter().filter(|other| other.name == entry.name);
        assert_eq!(same.count(), 1, "{}", entry.name);
    }
}
