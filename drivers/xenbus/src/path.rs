//! Paths in the store (docs/misc/xenstore.txt).

use hv::DomId;
use xen_abi::io::xs_wire::{ABS_PATH_MAX, REL_PATH_MAX};

use crate::error::StoreError;
use crate::number;

/// The first number that no ordinary domain has (`DOMID_FIRST_RESERVED` in xen.h).
const FIRST_RESERVED: u16 = 0x7ff0;

/// Whether `path` names a node: letters, digits, `-`, `_`, `@`, in parts divided by single slashes,
/// none at the end. It may start with `/`; otherwise it is relative to the domain's home.
///
/// # Errors
/// [`StoreError::BadPath`] for everything else; so `..` and NUL are refused too.
pub fn check(path: &str) -> Result<(), StoreError> {
    if path == "/" {
        return Ok(());
    }
    let (relative, longest) = match path.strip_prefix('/') {
        Some(relative) => (relative, ABS_PATH_MAX),
        None => (path, REL_PATH_MAX),
    };
    let good = path.len() <= longest && relative.split('/').all(is_name);
    if good {
        Ok(())
    } else {
        Err(StoreError::BadPath)
    }
}

/// Whether `name` can be one part of a path.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_@".contains(byte);
    !name.is_empty() && name.as_bytes().iter().all(allowed)
}

/// A domain's number as the store has it: below the reserved ones.
#[must_use]
pub fn domain(text: &str) -> Option<DomId> {
    number::parse_in(text, 0..=FIRST_RESERVED - 1)
        .ok()
        .map(DomId)
}

/// Whether `path` is where the backend of a device must lie:
/// `/local/domain/BACKEND/backend/KIND/OWN/DEVICE`, KIND being one of `kinds`.
///
/// A frontend believes no other path: a link to a third domain's nodes, or to its own, would let
/// somebody else speak for the backend (case F25).
#[must_use]
pub fn is_backend(path: &str, backend: DomId, kinds: &[&str], own: DomId, device: u32) -> bool {
    let mut parts = path.split('/');
    let mut is = |wanted: &dyn Fn(&str) -> bool| parts.next().is_some_and(wanted);
    is(&str::is_empty)
        && is(&|part| part == "local")
        && is(&|part| part == "domain")
        && is(&|part| domain(part) == Some(backend))
        && is(&|part| part == "backend")
        && is(&|part| kinds.contains(&part))
        && is(&|part| domain(part) == Some(own))
        && is(&|part| number::parse(part) == Ok(device))
        && parts.next().is_none()
}
