//! A file's name says what is in it. These words say nothing.

use super::tree::Tree;

const BANNED: [&str; 9] = [
    "util", "utils", "common", "base", "manager", "helper", "helpers", "misc", "stuff",
];

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let is_banned = |word: &str| BANNED.contains(&word.to_lowercase().as_str());
    tree.files
        .iter()
        .filter(|file| {
            file.path
                .split(|c: char| !c.is_alphanumeric())
                .any(is_banned)
        })
        .map(|file| format!("{} is named after nothing", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    fn check(path: &str) -> usize {
        let file = File {
            path: path.to_owned(),
            ..File::default()
        };
        problems(&Tree {
            files: vec![file],
            ..Tree::default()
        })
        .len()
    }

    #[test]
    fn empty_names_are_found_in_folders_and_files() {
        for path in [
            "geom/src/utils.rs",
            "kernel/common/lib.rs",
            "a/disk_helper.rs",
            "Base.md",
        ] {
            assert_eq!(check(path), 1, "{path}");
        }
        for path in ["geom/src/class/part/database.rs", "lab/src/nest.rs"] {
            assert_eq!(check(path), 0, "{path}");
        }
    }
}
