//! `hexdump`: a provider's bytes as text.

use alloc::string::String;
use alloc::vec::Vec;

use super::reader::Reader;
use super::target::{Disks, Target};
use crate::hexdump::{LINE, line};
use crate::output::Output;
use crate::request::ByteRange;

pub(super) async fn run(
    disks: &Disks<'_>,
    provider: &str,
    range: ByteRange,
    out: &Output,
) -> Result<(), String> {
    let target = Target::open_to_read(disks, "hexdump", provider, Some(range))?;
    let mut reader = Reader::new(&target.device, target.sector, target.range);
    let mut offset = range.offset;
    // What is not a whole line yet.
    let mut rest = Vec::new();
    while let Some(bytes) = reader.next().await {
        rest.extend(bytes.map_err(|errno| target.failed(errno))?);
        let whole = rest.len() / LINE * LINE;
        for bytes in rest[..whole].chunks(LINE) {
            show(offset, bytes, out);
            offset += LINE as u64;
            out.room().await;
        }
        rest.drain(..whole);
    }
    if !rest.is_empty() {
        show(offset, &rest, out);
    }
    Ok(())
}

fn show(offset: u64, bytes: &[u8], out: &Output) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = line(&mut text, offset, bytes);
    out.write(&text);
}
