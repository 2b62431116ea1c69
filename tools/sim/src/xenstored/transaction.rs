//! Transactions: a private copy of the tree, and what must not have changed when it is committed.

use std::collections::BTreeSet;
use std::rc::Rc;

use hv::DomId;

use super::tree::{Change, Permission, Tree, parent};
use super::wire::Refusal;

/// A change asked for.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Write(String, Vec<u8>),
    Mkdir(String),
    Remove(String),
    SetPermissions(String, Vec<Permission>),
}

impl Edit {
    fn path(&self) -> &str {
        match self {
            Self::Write(path, _)
            | Self::Mkdir(path)
            | Self::Remove(path)
            | Self::SetPermissions(path, _) => path,
        }
    }

    /// Makes the change, if it may be made.
    pub(crate) fn apply(&self, tree: &mut Tree, dom: DomId) -> Result<Vec<Change>, Refusal> {
        match self {
            Self::Write(path, value) => tree.write(dom, path, value).map(|change| vec![change]),
            Self::Mkdir(path) => tree.mkdir(dom, path).map(Vec::from_iter),
            Self::Remove(path) => tree.remove(dom, path),
            Self::SetPermissions(path, permissions) => tree
                .set_permissions(dom, path, permissions)
                .map(|change| vec![change]),
        }
    }
}

/// A transaction that is open.
pub(crate) struct Transaction {
    /// The tree when it was started.
    base: Rc<Tree>,
    /// The same with the edits made.
    pub(crate) tree: Tree,
    edits: Vec<Edit>,
    /// The nodes it has looked at or changed.
    touched: BTreeSet<String>,
}

impl Transaction {
    pub(crate) fn start(tree: &Rc<Tree>) -> Self {
        Self {
            base: tree.clone(),
            tree: (**tree).clone(),
            edits: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Notes that the outcome hangs on this node.
    pub(crate) fn touch(&mut self, path: &str) {
        self.touched.insert(path.into());
    }

    pub(crate) fn edit(&mut self, dom: DomId, edit: Edit) -> Result<(), Refusal> {
        let path = edit.path().to_string();
        // A new or removed node changes the list of children above it.
        let before = self.tree.get(&path).is_some();
        edit.apply(&mut self.tree, dom)?;
        if before != self.tree.get(&path).is_some()
            && let Some(above) = parent(&path)
        {
            self.touched.insert(above.into());
        }
        self.touched.insert(path);
        self.edits.push(edit);
        Ok(())
    }

    /// Makes the edits in `tree`, all or none.
    ///
    /// # Errors
    /// `EAGAIN` when a node that this transaction touched has changed since it was started.
    pub(crate) fn commit(self, tree: &mut Rc<Tree>, dom: DomId) -> Result<Vec<Change>, Refusal> {
        let moved = |path: &String| self.base.generation(path) != tree.generation(path);
        if self.touched.iter().any(moved) {
            return Err("EAGAIN");
        }
        let mut next = (**tree).clone();
        let mut changes = Vec::new();
        for edit in &self.edits {
            changes.extend(edit.apply(&mut next, dom).map_err(|_| "EAGAIN")?);
        }
        *tree = Rc::new(next);
        Ok(changes)
    }
}
