//! What each request does.

use std::rc::Rc;

use hv::DomId;

use super::State;
use super::transaction::{Edit, Transaction};
use super::tree::{Change, Node, Permission, absolute};
use super::watch::{Watch, Watcher};
use super::wire::{HEADER, Message, PAYLOAD_MAX, Refusal, kind, strings};

/// Watches a guest may have (`quota_nb_watch_per_domain`).
const WATCH_QUOTA: usize = 128;
/// Transactions a guest may have open (`quota_max_transaction`).
const TRANSACTION_QUOTA: usize = 10;

impl State {
    /// Answers one request of a guest. What it changes is returned, for the watches.
    pub(crate) fn answer(&mut self, dom: DomId, request: &Message) -> (Message, Vec<Change>) {
        let mut changes = Vec::new();
        let outcome = self.serve(dom, request, &mut changes);
        let (kind, payload) = match outcome {
            Ok(payload) => (request.kind, payload),
            Err(refusal) => {
                let mut name = refusal.as_bytes().to_vec();
                name.push(0);
                (kind::ERROR, name)
            }
        };
        let reply = Message {
            kind,
            request: request.request,
            transaction: request.transaction,
            payload,
        };
        (reply, changes)
    }

    fn serve(
        &mut self,
        dom: DomId,
        request: &Message,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<u8>, Refusal> {
        let payload = &request.payload[..];
        let tx = request.transaction;
        match request.kind {
            kind::READ => {
                let ([path], _) = strings(payload)?;
                Ok(self.look(dom, tx, path)?.value.clone())
            }
            kind::DIRECTORY => {
                let ([path], _) = strings(payload)?;
                let names = children(&*self.look(dom, tx, path)?);
                if names.len() > PAYLOAD_MAX {
                    return Err("E2BIG");
                }
                Ok(names)
            }
            kind::DIRECTORY_PART => {
                let ([path, offset], _) = strings(payload)?;
                let offset = offset.parse().map_err(|_| "EINVAL")?;
                Ok(part(&*self.look(dom, tx, path)?, offset))
            }
            kind::GET_PERMS => {
                let ([path], _) = strings(payload)?;
                let node = self.look(dom, tx, path)?;
                let entries = node.permissions.iter();
                let text = entries.map(|entry| format!("{}{}\0", entry.letter, entry.dom));
                Ok(text.collect::<String>().into_bytes())
            }
            kind::WRITE | kind::MKDIR | kind::RM | kind::SET_PERMS => {
                let edit = parse_edit(dom, request.kind, payload)?;
                self.edit(dom, tx, edit, changes)
            }
            kind::TRANSACTION_START => self.start_transaction(dom, tx),
            kind::TRANSACTION_END => self.end_transaction(dom, tx, payload, changes),
            kind::WATCH => self.watch(dom, payload),
            kind::UNWATCH => self.unwatch(dom, payload),
            kind::RESET_WATCHES => {
                self.watches.retain(|watch| !watch.is_of(dom));
                Ok(ok())
            }
            kind::GET_DOMAIN_PATH => {
                let ([number], _) = strings(payload)?;
                let number: u16 = number.parse().map_err(|_| "EINVAL")?;
                Ok(format!("/local/domain/{number}\0").into_bytes())
            }
            kind::IS_DOMAIN_INTRODUCED => {
                let ([number], _) = strings(payload)?;
                let number = number.parse().map_err(|_| "EINVAL")?;
                let known = self.connections.iter().any(|c| c.dom == DomId(number));
                Ok(if known { b"T\0" } else { b"F\0" }.to_vec())
            }
            _ => Err("ENOSYS"),
        }
    }

    fn transaction(&mut self, dom: DomId, id: u32) -> Result<&mut Transaction, Refusal> {
        let connection = self.connections.iter_mut().find(|c| c.dom == dom);
        let connection = connection.ok_or("ENOENT")?;
        connection.transactions.get_mut(&id).ok_or("ENOENT")
    }

    /// The node to read from, in the transaction or outside.
    fn look(&mut self, dom: DomId, tx: u32, path: &str) -> Result<Rc<Node>, Refusal> {
        let path = absolute(dom, path)?;
        if tx == 0 {
            return self.tree.read(dom, &path).cloned();
        }
        let transaction = self.transaction(dom, tx)?;
        transaction.touch(&path);
        transaction.tree.read(dom, &path).cloned()
    }

    fn edit(
        &mut self,
        dom: DomId,
        tx: u32,
        edit: Edit,
        changes: &mut Vec<Change>,
    ) -> Result<Vec<u8>, Refusal> {
        if tx == 0 {
            changes.extend(edit.apply(Rc::make_mut(&mut self.tree), dom)?);
        } else {
            self.transaction(dom, tx)?.edit(dom, edit)?;
        }
        Ok(ok())
    }

    fn start_transaction(&mut self, dom: DomId, tx: u32) -> Result<Vec<u8>, Refusal> {
        if tx != 0 {
            return Err("EBUSY");
        }
        let started = Transaction::start(&self.tree);
        let connection = self.connections.iter_mut().find(|c| c.dom == dom);
        let connection = connection.ok_or("ENOENT")?;
        if connection.transactions.len() >= TRANSACTION_QUOTA {
            return Err("ENOSPC");
        }
        connection.last_transaction += 1;
        let id = connection.last_transaction;
        connection.transactions.insert(id, started);
        Ok(format!("{id}\0").into_bytes())
    }

    fn end_transaction(
        &mut self,
        dom: DomId,
        tx: u32,
        payload: &[u8],
        changes: &mut Vec<Change>,
    ) -> Result<Vec<u8>, Refusal> {
        let ([word], _) = strings(payload)?;
        let commit = match word {
            "T" => true,
            "F" => false,
            _ => return Err("EINVAL"),
        };
        let connection = self.connections.iter_mut().find(|c| c.dom == dom);
        let connection = connection.ok_or("ENOENT")?;
        let transaction = connection.transactions.remove(&tx).ok_or("ENOENT")?;
        if commit {
            if self.conflicts > 0 {
                self.conflicts -= 1;
                return Err("EAGAIN");
            }
            changes.extend(transaction.commit(&mut self.tree, dom)?);
        }
        Ok(ok())
    }

    fn watch(&mut self, dom: DomId, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let ([path, token], _) = strings(payload)?;
        if path.starts_with('@') {
            return Err("EACCES");
        }
        let full = absolute(dom, path)?;
        let mine = || self.watches.iter().filter(|watch| watch.is_of(dom));
        if mine().any(|watch| watch.path == full && watch.token() == Some(token)) {
            return Err("EEXIST");
        }
        if mine().count() >= WATCH_QUOTA {
            return Err("E2BIG");
        }
        let home = (!path.starts_with('/')).then(|| format!("/local/domain/{dom}/"));
        let token = token.to_string();
        let watcher = Watcher::Guest { dom, token, home };
        let watch = Watch {
            path: full.clone(),
            watcher,
        };
        // It fires once at the start, whatever is there.
        self.first_events.push((watch.clone(), full));
        self.watches.push(watch);
        Ok(ok())
    }

    fn unwatch(&mut self, dom: DomId, payload: &[u8]) -> Result<Vec<u8>, Refusal> {
        let ([path, token], _) = strings(payload)?;
        let full = absolute(dom, path)?;
        let before = self.watches.len();
        self.watches.retain(|watch| {
            !(watch.is_of(dom) && watch.path == full && watch.token() == Some(token))
        });
        if self.watches.len() == before {
            return Err("ENOENT");
        }
        Ok(ok())
    }
}

impl Watch {
    fn token(&self) -> Option<&str> {
        match &self.watcher {
            Watcher::Guest { token, .. } => Some(token),
            Watcher::Daemon { .. } => None,
        }
    }

    /// The event for a path, as a guest reads it.
    pub(crate) fn event(&self, path: &str) -> Option<(DomId, Message)> {
        let Watcher::Guest { dom, token, home } = &self.watcher else {
            return None;
        };
        let shown = home
            .as_ref()
            .and_then(|home| path.strip_prefix(home.as_str()));
        let payload = format!("{}\0{token}\0", shown.unwrap_or(path));
        let message = Message {
            kind: kind::WATCH_EVENT,
            request: 0,
            transaction: 0,
            payload: payload.into_bytes(),
        };
        Some((*dom, message))
    }
}

fn ok() -> Vec<u8> {
    b"OK\0".to_vec()
}

fn parse_edit(dom: DomId, request: u32, payload: &[u8]) -> Result<Edit, Refusal> {
    let ([path], rest) = strings(payload)?;
    let path = absolute(dom, path)?;
    Ok(match request {
        kind::WRITE => Edit::Write(path, rest.to_vec()),
        kind::MKDIR => Edit::Mkdir(path),
        kind::RM => Edit::Remove(path),
        _ => {
            let text = std::str::from_utf8(rest).map_err(|_| "EINVAL")?;
            let entries = text.split_terminator('\0').map(Permission::parse);
            Edit::SetPermissions(path, entries.collect::<Result<_, _>>()?)
        }
    })
}

/// The names of a node's children, each ended by a NUL.
fn children(node: &Node) -> Vec<u8> {
    let mut names = Vec::new();
    for name in &node.children {
        names.extend(name.as_bytes());
        names.push(0);
    }
    names
}

/// A reply to `DIRECTORY_PART`: the node's generation, as many whole names from `offset` on as fit,
/// and one more NUL at the end of the list.
fn part(node: &Node, offset: usize) -> Vec<u8> {
    let names = children(node);
    let mut reply = format!("{}\0", node.generation).into_bytes();
    let room = PAYLOAD_MAX - HEADER - reply.len() - 1;
    let rest = names.get(offset..).unwrap_or_default();
    let mut length = rest.len().min(room);
    while length > 0 && rest[length - 1] != 0 {
        length -= 1;
    }
    reply.extend(&rest[..length]);
    if length == rest.len() {
        reply.push(0);
    }
    reply
}
