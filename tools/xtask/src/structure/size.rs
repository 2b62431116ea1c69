//! One idea a file: a Rust file has fewer than 500 lines, most fewer than 250; no line of it has
//! more than 100 columns, also where rustfmt does not look.

use super::tree::{File, Tree};

const LINES: usize = 500;
const MOST_LINES: usize = 250;
const COLUMNS: usize = 100;

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let mut found: Vec<String> = tree.rust().flat_map(problems_of).collect();
    let (count, long) = tree.rust().fold((0, 0), |(count, long), file| {
        (
            count + 1,
            long + usize::from(file.text.lines().count() >= MOST_LINES),
        )
    });
    if long * 2 > count {
        found.push(format!(
            "{long} of {count} files have {MOST_LINES} lines or more"
        ));
    }
    found
}

fn problems_of(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let too_long = (lines >= LINES).then(|| format!("{} has {lines} lines", file.path));
    let too_wide = file.text.lines().enumerate().filter_map(|(at, line)| {
        let columns = line.chars().count();
        (columns > COLUMNS).then(|| format!("{}:{} has {columns} columns", file.path, at + 1))
    });
    too_long.into_iter().chain(too_wide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[String]) -> Vec<String> {
        let files = texts.iter().map(|text| File {
            path: "a.rs".to_owned(),
            text: text.clone(),
        });
        problems(&Tree {
            files: files.collect(),
            ..Tree::default()
        })
    }

    #[test]
    fn a_file_of_499_lines_passes_among_short_ones() {
        assert_eq!(
            check(&["x\n".repeat(499), String::new()]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn long_files_and_wide_lines_are_found() {
        assert_eq!(
            check(&["x\n".repeat(500), String::new()]),
            ["a.rs has 500 lines"]
        );
        assert_eq!(
            check(&[format!("\n{}\n", "ü".repeat(100))]),
            Vec::<String>::new()
        );
        assert_eq!(
            check(&[format!("\n{}\n", "x".repeat(101))]),
            ["a.rs:2 has 101 columns"]
        );
        assert_eq!(
            check(&["x\n".repeat(250)]),
            ["1 of 1 files have 250 lines or more"]
        );
    }
}
