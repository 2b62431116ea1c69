//! The files and packages the checks look at.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::Cargo;
use crate::project;

/// The project.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Text files, by path.
    pub files: Vec<File>,
    /// The workspace's packages, by name.
    pub packages: Vec<Package>,
}

/// A text file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Its path in the project, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// A package of the workspace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Package {
    /// Its name.
    pub name: String,
    /// Its folder in the project.
    pub folder: String,
    /// Whether it has a library.
    pub is_library: bool,
    /// The packages of the workspace it uses, sorted.
    pub uses: Vec<String>,
    /// Those that only its tests use, sorted.
    pub tests_use: Vec<String>,
}

impl Tree {
    /// Reads the project.
    pub(super) fn read() -> Result<Self> {
        let root = project::root();
        let mut files = Vec::new();
        walk(&root, &root, &mut files)?;
        files.sort_by(|a: &File, b| a.path.cmp(&b.path));
        let metadata = Cargo::new("metadata")
            .args(["--no-deps", "--format-version", "1", "--offline"])
            .standard_output()?;
        let packages = packages(&serde_json::from_str(&metadata)?, &root.to_string_lossy());
        Ok(Self {
            files,
            packages: packages.context("cargo metadata lacks a field")?,
        })
    }

    /// Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The file at this path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Collects text files. Build results and git's own files are not the project.
fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let path = entry.path();
        let (kind, name) = (entry.file_type()?, entry.file_name());
        // In a second work tree `.git` is a file that names the first.
        if name == ".git" || (kind.is_dir() && name == "target") {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, files)?;
        } else if kind.is_file() {
            // What is not text (a fuzz corpus, an image of a disk) has no lines to look at.
            let Ok(text) = String::from_utf8(fs::read(&path)?) else {
                continue;
            };
            let path = path
                .strip_prefix(root)?
                .to_string_lossy()
                .replace('\\', "/");
            files.push(File { path, text });
        }
    }
    Ok(())
}

/// The packages in cargo's metadata; `None` if a field is missing.
fn packages(metadata: &Value, root: &str) -> Option<Vec<Package>> {
    let listed = metadata["packages"].as_array()?;
    let ours: Vec<&str> = listed
        .iter()
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut packages = Vec::new();
    for package in listed {
        let mut uses = Vec::new();
        let mut tests_use = Vec::new();
        for dependency in package["dependencies"].as_array()? {
            let name = dependency["name"].as_str()?;
            if ours.contains(&name) {
                let is_for_tests = dependency["kind"].as_str() == Some("dev");
                if is_for_tests {
                    &mut tests_use
                } else {
                    &mut uses
                }
                .push(name.to_owned());
            }
        }
        uses.sort();
        tests_use.sort();
        let manifest = package["manifest_path"].as_str()?.strip_prefix(root)?;
        let folder = manifest
            .trim_start_matches('/')
            .trim_end_matches("/Cargo.toml");
        let is_library = package["targets"].as_array()?.iter().any(|target| {
            target["kind"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
        });
        packages.push(Package {
            name: package["name"].as_str()?.to_owned(),
            folder: folder.to_owned(),
            is_library,
            uses,
            tests_use,
        });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Some(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_own_and_what_was_built_are_no_part_of_the_project() {
        let root = std::env::temp_dir().join(format!("xenolith-tree-{}", std::process::id()));
        for folder in ["target", "geom/.git"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["target/built", "geom/.git/config", "geom/lib.rs", ".git"] {
            fs::write(root.join(file), "text").unwrap();
        }
        let mut files = Vec::new();
        walk(&root, &root, &mut files).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["geom/lib.rs"]);
    }

    #[test]
    fn packages_are_read_from_metadata() {
        let metadata = serde_json::json!({ "packages": [
            {
                "name": "pv",
                "manifest_path": "/p/kernel/pv/Cargo.toml",
                "targets": [{ "kind": ["lib"] }],
                "dependencies": [
                    { "name": "hv", "kind": null },
                    { "name": "libc", "kind": null },
                    { "name": "sim", "kind": "dev" },
                ],
            },
            { "name": "hv", "manifest_path": "/p/kernel/hv/Cargo.toml",
              "targets": [{ "kind": ["bin"] }], "dependencies": [] },
            { "name": "sim", "manifest_path": "/p/tools/sim/Cargo.toml",
              "targets": [], "dependencies": [] },
        ]});
        let packages = packages(&metadata, "/p").unwrap();
        assert_eq!(
            packages[1],
            Package {
                name: "pv".to_owned(),
                folder: "kernel/pv".to_owned(),
                is_library: true,
                uses: vec!["hv".to_owned()],
                tests_use: vec!["sim".to_owned()],
            }
        );
        assert!(!packages[0].is_library);
    }

    #[test]
    fn metadata_that_lacks_a_field_is_refused() {
        assert_eq!(
            packages(&serde_json::json!({ "packages": [{ "name": "pv" }] }), "/p"),
            None
        );
    }

    #[test]
    fn the_project_is_found() {
        let tree = Tree::read().unwrap();
        assert!(tree.file("tools/xtask/src/structure/tree.rs").is_some());
        assert!(
            tree.files
                .iter()
                .all(|file| !file.path.starts_with("target/"))
        );
        let xtask = tree
            .packages
            .iter()
            .find(|package| package.name == "xtask")
            .unwrap();
        assert_eq!(xtask.folder, "tools/xtask");
    }
}
