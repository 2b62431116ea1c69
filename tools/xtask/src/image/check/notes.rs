//! The notes that Xen's domain builder reads (elfnote.h), in the finished file.

use xen_abi::elfnote;

use super::super::elf::{Elf, PT_LOAD, PT_NOTE};
use super::Finished;

/// A note named "Xen".
struct Note {
    kind: u32,
    value: Vec<u8>,
}

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    let image = &finished.image;
    let mut notes = Vec::new();
    let mut found = Vec::new();
    for segment in image.segments_of(PT_NOTE) {
        match parse(&segment.data) {
            Some(parsed) => notes.extend(parsed),
            None => found.push("a note reaches beyond its segment".to_owned()),
        }
    }
    let mut check = |name: &str, kind: u32, good: &dyn Fn(&[u8]) -> bool| match one(&notes, kind) {
        Ok(value) if good(value) => {}
        Ok(value) => found.push(format!("note {name} has a wrong value: {value:02x?}")),
        Err(count) => found.push(format!("note {name} is there {count} times, not once")),
    };
    check("GUEST_OS", elfnote::GUEST_OS, &|value| {
        text(value).is_some_and(|os| !os.is_empty())
    });
    check("LOADER", elfnote::LOADER, &|value| {
        text(value) == Some("generic")
    });
    check("XEN_VERSION", elfnote::XEN_VERSION, &|value| {
        text(value) == Some("xen-3.0")
    });
    check("ENTRY", elfnote::ENTRY, &|value| {
        word(value).is_some_and(|entry| image.is_code(entry))
    });
    check("VIRT_BASE", elfnote::VIRT_BASE, &|value| {
        word(value).is_some_and(|base| is_base(image, base))
    });
    check("FEATURES", elfnote::FEATURES, &|value| {
        text(value).is_some_and(|list| !list.is_empty())
    });
    check("SUSPEND_CANCEL", elfnote::SUSPEND_CANCEL, &|value| {
        word(value) == Some(1)
    });
    found
}

/// Whether every segment's physical address is its virtual one less `base`.
fn is_base(image: &Elf, base: u64) -> bool {
    image
        .segments_of(PT_LOAD)
        .all(|segment| segment.address.checked_sub(base) == Some(segment.physical))
}

/// The value of the one note of this kind, or how many there are.
fn one(notes: &[Note], kind: u32) -> Result<&[u8], usize> {
    let mut values = notes
        .iter()
        .filter(|note| note.kind == kind)
        .map(|note| &note.value[..]);
    match (values.next(), values.count()) {
        (Some(value), 0) => Ok(value),
        (None, _) => Err(0),
        (Some(_), more) => Err(more + 1),
    }
}

/// A text that ends with its first NUL.
fn text(value: &[u8]) -> Option<&str> {
    let (last, text) = value.split_last()?;
    (*last == 0).then(|| std::str::from_utf8(text).ok())?
}

/// A number of 4 or 8 bytes.
fn word(value: &[u8]) -> Option<u64> {
    match *value {
        [a, b, c, d] => Some(u64::from(u32::from_le_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    }
}

/// Notes: three words (length of name, length of value, kind), then both, each padded to 4 bytes.
fn parse(mut data: &[u8]) -> Option<Vec<Note>> {
    let mut notes = Vec::new();
    while !data.is_empty() {
        let (lengths, rest) = data.split_at_checked(12)?;
        let field = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| lengths[at + byte]));
        let (name_length, value_length) = (field(0) as usize, field(4) as usize);
        let name = rest.get(..name_length)?;
        let rest = rest.get(name_length.next_multiple_of(4)..)?;
        let value = rest.get(..value_length)?;
        // The last value's padding may be missing.
        data = rest
            .get(value_length.next_multiple_of(4)..)
            .unwrap_or_default();
        if name == elfnote::NAME {
            notes.push(Note {
                kind: field(8),
                value: value.to_vec(),
            });
        }
    }
    Some(notes)
}
