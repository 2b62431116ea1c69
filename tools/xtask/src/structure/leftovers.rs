//! What work leaves behind: code in comments, paths of one machine, hosts of one registry.

use super::tree::{File, Tree};

/// Where people keep their files.
const MACHINE_PATHS: [&str; 3] = ["/work/", "/home/", "/root/."];
/// A home that is nobody's, for examples.
const EXAMPLE: &str = "/home/me";

/// Package registries' hosts, in parts, so that this file does not name them.
const HOSTS: [(&str, &str); 6] = [
    ("crates", ".io"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("pypi", ".org"),
    ("npmjs", ".org"),
    ("proxy.golang", ".org"),
];

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let hosts: Vec<String> = HOSTS
        .iter()
        .map(|(name, end)| format!("{name}{end}"))
        .collect();
    let mut found = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| !file.path.ends_with("Cargo.lock"))
    {
        for (at, line) in file.text.lines().enumerate() {
            let place = format!("{}:{}", file.path, at + 1);
            if is_code_in_comment(file, line) {
                found.push(format!("{place} has code in a comment"));
            }
            let real = line.replace(EXAMPLE, "");
            if !is_this_file(file) && MACHINE_PATHS.iter().any(|path| real.contains(path)) {
                found.push(format!("{place} names a path of one machine"));
            }
            if hosts.iter().any(|host| line.contains(host)) {
                found.push(format!("{place} names a registry's host"));
            }
        }
    }
    found
}

/// This file names what it looks for.
fn is_this_file(file: &File) -> bool {
    file.path.ends_with("structure/leftovers.rs")
}

/// A comment that is a statement: it starts as one and ends as one. Documentation has examples.
fn is_code_in_comment(file: &File, line: &str) -> bool {
    const STARTS: [&str; 9] = [
        "let ", "use ", "fn ", "pub ", "if ", "for ", "match ", "return ", "self.",
    ];
    let Some(comment) = line.trim_start().strip_prefix("//") else {
        return false;
    };
    let comment = comment.trim();
    file.path.ends_with(".rs")
        && STARTS.iter().any(|start| comment.starts_with(start))
        && (comment.ends_with(';') || comment.ends_with('{'))
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
    fn code_in_a_comment_is_found_and_prose_is_not() {
        assert_eq!(
            check("a.rs", "\n    // let x = 1;"),
            ["a.rs:2 has code in a comment"]
        );
        assert_eq!(check("a.rs", "// if x {").len(), 1);
        for prose in [
            "// if it is so, wait;\n".trim_end_matches(";\n"),
            "/// let x = 1;",
            "// use it",
        ] {
            assert_eq!(check("a.rs", prose), Vec::<String>::new(), "{prose}");
        }
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        for path in MACHINE_PATHS {
            assert_eq!(check("a.toml", &format!("x = \"{path}y\"")).len(), 1);
        }
        assert_eq!(
            check("a.toml", "x = \"/home/me/disk\""),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_registry_is_found_anywhere_but_in_the_lock_file() {
        for (name, end) in HOSTS {
            let text = format!("see https://{name}{end}/x");
            assert_eq!(
                check("README.md", &text),
                ["README.md:1 names a registry's host"]
            );
            assert_eq!(check("Cargo.lock", &text), Vec::<String>::new());
        }
    }
}
