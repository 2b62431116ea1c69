//! The tree of nodes, and who may use which.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use hv::DomId;

use super::wire::{ABSOLUTE_PATH_MAX, RELATIVE_PATH_MAX, Refusal};

/// Nodes a guest may own (`quota_nb_entry_per_domain`).
const NODE_QUOTA: usize = 1000;
/// The largest node, in bytes (`quota_max_entry_size`).
const NODE_SIZE: usize = 2048;

/// One entry of a node's permissions: the first is the owner's, and its letter is everyone else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Whom it is about.
    pub dom: DomId,
    /// `n`, `r`, `w` or `b`.
    pub letter: char,
}

impl Permission {
    /// The entry `letter` followed by the domain's number, as on the wire.
    ///
    /// # Errors
    /// `EINVAL` for anything else.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut chars = text.chars();
        let letter = chars.next().filter(|c| "nrwb".contains(*c));
        let dom = chars.as_str().parse().map_err(|_| "EINVAL")?;
        Ok(Self {
            dom: DomId(dom),
            letter: letter.ok_or("EINVAL")?,
        })
    }

    fn allows(self, wanted: char) -> bool {
        self.letter == 'b' || self.letter == wanted
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Vec<u8>,
    pub(crate) children: BTreeSet<String>,
    pub(crate) permissions: Rc<[Permission]>,
    pub(crate) generation: u64,
}

/// A change, as watches hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) path: String,
    /// Only watches on this very node hear of it: it went away with one above it.
    pub(crate) exact: bool,
    pub(crate) permissions: Rc<[Permission]>,
}

/// All nodes by their absolute path.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Rc<Node>>,
    generation: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node {
            value: Vec::new(),
            children: BTreeSet::new(),
            permissions: Rc::new([Permission {
                dom: DomId(0),
                letter: 'n',
            }]),
            generation: 0,
        };
        Self {
            nodes: BTreeMap::from([("/".into(), Rc::new(root))]),
            generation: 0,
        }
    }
}

/// The path of the node above; the root has none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path == "/" {
        return None;
    }
    let at = path.rfind('/')?;
    Some(if at == 0 { "/" } else { &path[..at] })
}

fn leaf(path: &str) -> &str {
    &path[path.rfind('/').map_or(0, |at| at + 1)..]
}

/// Whether `path` is `above` or lies below it.
pub(crate) fn is_below(path: &str, above: &str) -> bool {
    above == "/"
        || path
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The absolute path that `path` means for a domain.
pub(crate) fn absolute(dom: DomId, path: &str) -> Result<String, Refusal> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-/_@".contains(c);
    let limit = if path.starts_with('/') {
        ABSOLUTE_PATH_MAX
    } else {
        RELATIVE_PATH_MAX
    };
    let bad_slash = path.contains("//") || (path.len() > 1 && path.ends_with('/'));
    if path.is_empty() || path.len() > limit || bad_slash || !path.chars().all(valid) {
        return Err("EINVAL");
    }
    if path.starts_with('/') {
        return Ok(path.into());
    }
    Ok(format!("/local/domain/{dom}/{path}"))
}

impl Tree {
    pub(crate) fn get(&self, path: &str) -> Option<&Rc<Node>> {
        self.nodes.get(path)
    }

    /// When the node last changed, if it is there.
    pub(crate) fn generation(&self, path: &str) -> Option<u64> {
        self.get(path).map(|node| node.generation)
    }

    pub(crate) fn owned_by(&self, dom: DomId) -> usize {
        let owned = |node: &&Rc<Node>| node.permissions[0].dom == dom;
        self.nodes.values().filter(owned).count()
    }

    fn allowed(permissions: &[Permission], dom: DomId, wanted: char) -> bool {
        if dom.0 == 0 || permissions[0].dom == dom {
            return true;
        }
        let mine = permissions[1..].iter().find(|entry| entry.dom == dom);
        mine.unwrap_or(&permissions[0]).allows(wanted)
    }

    pub(crate) fn may_read(permissions: &[Permission], dom: DomId) -> bool {
        Self::allowed(permissions, dom, 'r')
    }

    /// The node, if `dom` may read it.
    pub(crate) fn read(&self, dom: DomId, path: &str) -> Result<&Rc<Node>, Refusal> {
        match self.get(path) {
            Some(node) if Self::may_read(&node.permissions, dom) => Ok(node),
            Some(_) => Err("EACCES"),
            // Only who may read the nearest node above learns that there is none.
            None => {
                let above = self.nearest(path);
                let may = Self::may_read(&self.nodes[above].permissions, dom);
                Err(if may { "ENOENT" } else { "EACCES" })
            }
        }
    }

    fn nearest<'a>(&self, path: &'a str) -> &'a str {
        let mut at = path;
        while let Some(above) = parent(at) {
            at = above;
            if self.nodes.contains_key(at) {
                return at;
            }
        }
        "/"
    }

    fn change(&mut self, path: &str) -> &mut Node {
        self.generation += 1;
        let node = self.nodes.get_mut(path).expect("the node is there");
        let node = Rc::make_mut(node);
        node.generation = self.generation;
        node
    }

    /// Makes the node and those above it that are missing.
    fn create(&mut self, dom: DomId, path: &str) -> Result<(), Refusal> {
        let above = self.nearest(path);
        let permissions = self.nodes[above].permissions.clone();
        if !Self::allowed(&permissions, dom, 'w') {
            return Err("EACCES");
        }
        let mut missing = vec![path];
        while let Some(next) = parent(missing[missing.len() - 1]).filter(|next| *next != above) {
            missing.push(next);
        }
        if dom.0 != 0 && self.owned_by(dom) + missing.len() > NODE_QUOTA {
            return Err("ENOSPC");
        }
        let mut inherited = permissions.to_vec();
        if dom.0 != 0 {
            inherited[0].dom = dom;
        }
        let inherited: Rc<[Permission]> = inherited.into();
        for path in missing.into_iter().rev() {
            let above = parent(path).expect("the root is there");
            self.change(above).children.insert(leaf(path).into());
            let node = Node {
                value: Vec::new(),
                children: BTreeSet::new(),
                permissions: inherited.clone(),
                generation: self.generation,
            };
            self.nodes.insert(path.into(), Rc::new(node));
        }
        Ok(())
    }

    /// Checks that the node can be written, and makes it if it is not there.
    fn writable(&mut self, dom: DomId, path: &str) -> Result<bool, Refusal> {
        match self.get(path) {
            Some(node) if Self::allowed(&node.permissions, dom, 'w') => Ok(true),
            Some(_) => Err("EACCES"),
            None => self.create(dom, path).map(|()| false),
        }
    }

    fn changed(&self, path: &str) -> Change {
        Change {
            path: path.into(),
            exact: false,
            permissions: self.nodes[path].permissions.clone(),
        }
    }

    pub(crate) fn write(
        &mut self,
        dom: DomId,
        path: &str,
        value: &[u8],
    ) -> Result<Change, Refusal> {
        if dom.0 != 0 && value.len() > NODE_SIZE {
            return Err("ENOSPC");
        }
        self.writable(dom, path)?;
        self.change(path).value = value.to_vec();
        Ok(self.changed(path))
    }

    /// Makes a node without a value; `None` when it was there already.
    pub(crate) fn mkdir(&mut self, dom: DomId, path: &str) -> Result<Option<Change>, Refusal> {
        let existed = self.writable(dom, path)?;
        Ok((!existed).then(|| self.changed(path)))
    }

    /// Removes a node and all below it; no change when it was not there, but the one above is.
    pub(crate) fn remove(&mut self, dom: DomId, path: &str) -> Result<Vec<Change>, Refusal> {
        let above = parent(path).ok_or("EINVAL")?.to_string();
        let Some(node) = self.get(path) else {
            let above = self.get(&above).ok_or("ENOENT")?;
            let may = Self::allowed(&above.permissions, dom, 'w');
            return if may { Ok(Vec::new()) } else { Err("EACCES") };
        };
        if !Self::allowed(&node.permissions, dom, 'w') {
            return Err("EACCES");
        }
        let mut changes = Vec::new();
        self.nodes.retain(|other, node| {
            let below = is_below(other, path);
            if below {
                changes.push(Change {
                    path: other.clone(),
                    exact: other != path,
                    permissions: node.permissions.clone(),
                });
            }
            !below
        });
        self.change(&above).children.remove(leaf(path));
        Ok(changes)
    }

    /// The nodes that a domain owns, without those below them.
    pub(crate) fn paths_owned_by(&self, dom: DomId) -> Vec<String> {
        let is_owned = |node: &Node| node.permissions.first().is_some_and(|one| one.dom == dom);
        let mut owned: Vec<String> = Vec::new();
        for (path, node) in &self.nodes {
            if is_owned(node) && !owned.iter().any(|above| is_below(path, above)) {
                owned.push(path.clone());
            }
        }
        owned
    }

    pub(crate) fn set_permissions(
        &mut self,
        dom: DomId,
        path: &str,
        permissions: &[Permission],
    ) -> Result<Change, Refusal> {
        let node = self.read(dom, path)?;
        let owner = node.permissions[0].dom;
        let first = permissions.first().ok_or("EINVAL")?;
        // Only the owner may change permissions, and only domain 0 may give a node away.
        if dom.0 != 0 && (owner != dom || first.dom != dom) {
            return Err("EPERM");
        }
        self.change(path).permissions = permissions.into();
        Ok(self.changed(path))
    }
}
