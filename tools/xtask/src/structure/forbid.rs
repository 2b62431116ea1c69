//! Every library but those that are the machine and its first instructions forbids unsafe code, and
//! what runs in the kernel does without std.

use super::rust::code_of;
use super::tree::{Package, Tree};

/// The two libraries of the kernel with unsafe code.
const MACHINE: &str = "kernel/machine";
const BOOT: &str = "boot";
/// Programs for a Linux dom0 talk to its devices with ioctls.
const DOM0: &str = "tools/dom0";

pub(super) fn problems(tree: &Tree) -> Vec<String> {
    let libraries = tree.packages.iter().filter(|package| package.is_library);
    libraries
        .filter_map(|package| problem(tree, package))
        .collect()
}

fn problem(tree: &Tree, package: &Package) -> Option<String> {
    let path = format!("{}/src/lib.rs", package.folder);
    let Some(file) = tree.file(&path) else {
        return Some(format!("{path} is missing"));
    };
    let code = code_of(&file.text);
    let may_be_unsafe = matches!(package.folder.as_str(), MACHINE | BOOT | DOM0);
    if !may_be_unsafe && !code.contains("#![forbid(unsafe_code)]") {
        return Some(format!("{path} lacks #![forbid(unsafe_code)]"));
    }
    let in_kernel = !package.folder.starts_with("tools/");
    let without_std = code.contains("#![no_std]") || code.contains("not(test), no_std)");
    (in_kernel && !without_std).then(|| format!("{path} lacks #![cfg_attr(not(test), no_std)]"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::File;
    use super::*;

    fn check(folder: &str, text: &str) -> Vec<String> {
        problems(&Tree {
            files: vec![File {
                path: format!("{folder}/src/lib.rs"),
                text: text.to_owned(),
            }],
            packages: vec![Package {
                folder: folder.to_owned(),
                is_library: true,
                ..Package::default()
            }],
        })
    }

    const GOOD: &str = "//! Geom.\n#![cfg_attr(not(test), no_std)]\n#![forbid(unsafe_code)]\n";

    #[test]
    fn a_good_library_passes() {
        assert_eq!(check("geom", GOOD), Vec::<String>::new());
        assert_eq!(check("kernel/machine", "#![no_std]"), Vec::<String>::new());
        assert_eq!(
            check("tools/sim", "#![forbid(unsafe_code)]"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_lacking_is_found() {
        assert_eq!(
            check("geom", "#![no_std] // #![forbid(unsafe_code)]").len(),
            1
        );
        assert_eq!(check("geom", "#![forbid(unsafe_code)]").len(), 1);
        assert_eq!(
            check("tools/sim", ""),
            ["tools/sim/src/lib.rs lacks #![forbid(unsafe_code)]"]
        );
    }
}
