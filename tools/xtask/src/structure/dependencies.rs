//! ARCHITECTURE.md's table says who uses whom: each row `| crate | uses | tests also use |`, lists
//! separated by commas, between the markers below. It must be what cargo says, so that a new
//! dependency between crates is a decision somebody wrote down.

use super::tree::{Package, Tree};

const FILE: &str = "ARCHITECTURE.md";
const START: &str = "<!-- dependency table: begin -->";
const END: &str = "<!-- dependency table: end -->";

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let Some(file) = tree.file(FILE) else {
        return vec![format!("{FILE} is missing")];
    };
    let Some(table) = between(&file.text) else {
        return vec![format!("{FILE} has no table between {START:?} and {END:?}")];
    };
    // A row starts with a crate's name in backticks; the head and its rule do not.
    let rows: Vec<&str> = table
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("| `"))
        .collect();
    let wanted: Vec<String> = tree.packages.iter().map(row).collect();
    let missing = wanted
        .iter()
        .filter(|row| !rows.contains(&row.as_str()))
        .map(|row| format!("{FILE} lacks: {row}"));
    let wrong = rows
        .iter()
        .filter(|row| !wanted.iter().any(|wanted| wanted == *row))
        .map(|row| format!("{FILE} has, but cargo does not: {row}"));
    missing.chain(wrong).collect()
}

fn between(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(START)?;
    Some(rest.split_once(END)?.0)
}

/// The row of a package.
fn row(package: &Package) -> String {
    let list = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut row = format!("| `{}` | {} | {} |", package.name, list(&package.uses), {
        list(&package.tests_use)
    });
    while row.contains("  ") {
        row = row.replace("  ", " ");
    }
    row
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    fn tree(table: &str) -> Tree {
        let package = |name: &str, uses: &[&str], tests_use: &[&str]| Package {
            name: name.to_owned(),
            uses: uses.iter().map(|&name| name.to_owned()).collect(),
            tests_use: tests_use.iter().map(|&name| name.to_owned()).collect(),
            ..Package::default()
        };
        Tree {
            files: vec![File {
                path: FILE.to_owned(),
                text: format!(
                    "# text\n{START}\n| crate | uses | tests |\n|---|---|---|\n{table}{END}\n"
                ),
            }],
            packages: vec![
                package("hv", &[], &[]),
                package("pv", &["exec", "hv"], &["sim"]),
            ],
        }
    }

    const HV: &str = "| `hv` | | |\n";
    const PV: &str = "| `pv` | `exec`, `hv` | `sim` |\n";

    #[test]
    fn a_true_table_passes() {
        assert_eq!(problems(&tree(&format!("{HV}{PV}"))), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_nobody_wrote_down_is_found() {
        assert_eq!(
            problems(&tree(&format!("{HV}| `pv` | `hv` | `sim` |\n"))),
            [
                "ARCHITECTURE.md lacks: | `pv` | `exec`, `hv` | `sim` |",
                "ARCHITECTURE.md has, but cargo does not: | `pv` | `hv` | `sim` |",
            ]
        );
    }

    #[test]
    fn a_missing_or_vanished_crate_is_found() {
        assert_eq!(problems(&tree(PV)), ["ARCHITECTURE.md lacks: | `hv` | | |"]);
        let gone = problems(&tree(&format!("{HV}{PV}| `ufs` | | |\n")));
        assert_eq!(
            gone,
            ["ARCHITECTURE.md has, but cargo does not: | `ufs` | | |"]
        );
    }

    #[test]
    fn a_missing_table_is_found() {
        let mut tree = tree("");
        tree.files[0].text = "no table".to_owned();
        assert_eq!(problems(&tree).len(), 1);
        tree.files.clear();
        assert_eq!(problems(&tree), ["ARCHITECTURE.md is missing"]);
    }
}
