//! The list of checks.

use anyhow::{Result, bail};

use super::tree::Tree;
use super::{dependencies, forbid, leftovers, names, size, tours, unsafe_list};

/// A rule: what it says, and what breaks it.
struct Rule {
    name: &'static str,
    run: fn(&Tree) -> Vec<String>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "ARCHITECTURE.md says who uses whom",
        run: dependencies::problems,
    },
    Rule {
        name: "UNSAFE.md lists the files with unsafe code",
        run: unsafe_list::problems,
    },
    Rule {
        name: "libraries forbid unsafe code",
        run: forbid::problems,
    },
    Rule {
        name: "files are short",
        run: size::problems,
    },
    Rule {
        name: "files are named after what they hold",
        run: names::problems,
    },
    Rule {
        name: "lib.rs and mod.rs hold no logic",
        run: tours::problems,
    },
    Rule {
        name: "nothing is left over",
        run: leftovers::problems,
    },
];

/// What breaks each rule.
pub(crate) fn check() -> Result<Vec<(&'static str, Vec<String>)>> {
    let tree = Tree::read()?;
    Ok(RULES
        .iter()
        .map(|rule| (rule.name, (rule.run)(&tree)))
        .collect())
}

/// `cargo xtask check`.
pub(crate) fn command() -> Result<()> {
    let mut broken = 0;
    for (name, problems) in check()? {
        println!(
            "{}  {name}",
            if problems.is_empty() { "ok  " } else { "FAIL" }
        );
        for problem in &problems {
            println!("      {problem}");
        }
        broken += usize::from(!problems.is_empty());
    }
    if broken > 0 {
        bail!("{broken} of {} rules are broken", RULES.len());
    }
    Ok(())
}
