//! `lib.rs` and `mod.rs` show the way: documentation, modules, what is re-exported. Functions and
//! methods have a file that is named after them.

use super::rust::{code_of, has_word};
use super::tree::{File, Tree};

/// A page, with its documentation.
const LINES: usize = 120;

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|file| is_tour(&file.path))
        .flat_map(problems_of)
        .collect()
}

fn is_tour(path: &str) -> bool {
    let in_tests = path.contains("/tests/");
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "lib.rs" | "mod.rs") && !in_tests
}

fn problems_of(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let logic = code.lines().enumerate().filter_map(|(at, line)| {
        let has = |word| has_word(line, word);
        (has("fn") || has("impl")).then(|| format!("{}:{} holds logic", file.path, at + 1))
    });
    let lines = file.text.lines().count();
    let too_long =
        (lines > LINES).then(|| format!("{} has {lines} lines, more than a page", file.path));
    logic.chain(too_long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        problems(&Tree {
            files: vec![file],
            ..Tree::default()
        })
    }

    #[test]
    fn a_tour_passes() {
        let tour = "//! A tour: a fn is elsewhere.\nmod a;\npub use a::{A, run};\n";
        assert_eq!(check("geom/src/lib.rs", tour), Vec::<String>::new());
        assert_eq!(check("geom/src/disk.rs", "fn f() {}"), Vec::<String>::new());
    }

    #[test]
    fn logic_in_a_tour_is_found() {
        assert_eq!(
            check("geom/src/lib.rs", "mod a;\nfn f() {}"),
            ["geom/src/lib.rs:2 holds logic"]
        );
        assert_eq!(check("a/mod.rs", "impl A {\n}"), ["a/mod.rs:1 holds logic"]);
        assert_eq!(check("a/mod.rs", &"mod a;\n".repeat(121)).len(), 1);
    }
}
