//! UNSAFE.md lists, in backticks, exactly the files that opt into unsafe code; no other file has
//! the word in its code.

use super::rust::{code_of, has_word};
use super::tree::Tree;

const FILE: &str = "UNSAFE.md";

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let Some(list) = tree.file(FILE) else {
        return vec![format!("{FILE} is missing")];
    };
    let listed: Vec<&str> = list
        .text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.ends_with(".rs"))
        .collect();
    let mut found = Vec::new();
    for file in tree.rust() {
        let code = code_of(&file.text);
        // rustfmt breaks a long attribute into lines.
        let dense: String = code.split_whitespace().collect();
        let opts_in = dense.contains("expect(unsafe_code") || dense.contains("allow(unsafe_code");
        let is_listed = listed.contains(&file.path.as_str());
        if opts_in && !is_listed {
            found.push(format!(
                "{} opts into unsafe code, but {FILE} does not list it",
                file.path
            ));
        } else if is_listed && !opts_in {
            found.push(format!(
                "{FILE} lists {}, which has no unsafe code",
                file.path
            ));
        } else if has_word(&code, "unsafe") && !opts_in {
            found.push(format!("{} has unsafe code", file.path));
        }
    }
    let vanished = listed.iter().filter(|path| tree.file(path).is_none());
    found.extend(vanished.map(|path| format!("{FILE} lists {path}, which does not exist")));
    found
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    fn check(list: &str, files: &[(&str, &str)]) -> Vec<String> {
        let list = [(FILE, list)];
        let files = files.iter().chain(&list).map(|&(path, text)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        });
        problems(&Tree {
            files: files.collect(),
            ..Tree::default()
        })
    }

    const OPTS_IN: &str = "#![expect(unsafe_code, reason = \"asm\")]\nunsafe {}";

    #[test]
    fn a_true_list_passes() {
        let files = [
            ("a.rs", OPTS_IN),
            ("b.rs", "// unsafe\n#![forbid(unsafe_code)]"),
            (
                "c.rs",
                "#![expect(\n    unsafe_code,\n    reason = \"asm\"\n)]\nunsafe {}",
            ),
        ];
        assert_eq!(check("- `a.rs`, `c.rs`: why", &files), Vec::<String>::new());
    }

    #[test]
    fn each_way_a_list_can_be_wrong_is_found() {
        assert_eq!(
            check("", &[("a.rs", OPTS_IN)]),
            ["a.rs opts into unsafe code, but UNSAFE.md does not list it"]
        );
        assert_eq!(
            check("`a.rs`", &[("a.rs", "")]),
            ["UNSAFE.md lists a.rs, which has no unsafe code"]
        );
        assert_eq!(
            check("`a.rs`", &[]),
            ["UNSAFE.md lists a.rs, which does not exist"]
        );
        assert_eq!(
            check("", &[("a.rs", "unsafe {}")]),
            ["a.rs has unsafe code"]
        );
        assert_eq!(problems(&Tree::default()), ["UNSAFE.md is missing"]);
    }
}
