//! What is asked for: a path and a query (RFC 9112, 3.2).

use crate::refusal::Refusal;

const BAD: Refusal = Refusal::bad("the target is none");

/// Where path and query begin in a target that is one: `/path?query`, or `http://host/path?query`
/// as a proxy's client sends it.
///
/// # Errors
/// 400 for anything else; so for `*`, a fragment, a byte that no URI has, a `%` without its digits.
pub fn path_start(target: &[u8]) -> Result<usize, Refusal> {
    let start = if target.first() == Some(&b'/') {
        0
    } else {
        let rest = target.strip_prefix(b"http://").ok_or(BAD)?;
        let length = rest.iter().position(|byte| *byte == b'/').ok_or(BAD)?;
        if !rest.get(..length).is_some_and(is_authority) {
            return Err(BAD);
        }
        target.len() - rest.len() + length
    };
    let mut rest = target.get(start..).unwrap_or_default().iter();
    while let Some(byte) = rest.next() {
        let escaped = *byte == b'%';
        let mut digit = || rest.next().is_some_and(u8::is_ascii_hexdigit);
        let good = if escaped {
            digit() && digit()
        } else {
            is_plain(*byte) || b":@/?".contains(byte)
        };
        if !good {
            return Err(BAD);
        }
    }
    Ok(start)
}

/// Whether `text` can be a host with a port: not empty, nothing that divides a URI.
#[must_use]
pub fn is_authority(text: &[u8]) -> bool {
    let allowed = |byte: &u8| is_plain(*byte) || b":[]%".contains(byte);
    !text.is_empty() && text.iter().all(allowed)
}

/// `unreserved` and `sub-delims` of RFC 3986.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}
