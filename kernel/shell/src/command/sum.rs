//! `sum`: the SHA-256 of a provider's bytes.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};

use super::reader::Reader;
use super::target::{Disks, Target};
use crate::output::Output;
use crate::request::ByteRange;

/// Prints the sum as `sha256sum` does: 64 hexadecimal digits, two blanks, the name.
pub(super) async fn run(
    disks: &Disks<'_>,
    provider: &str,
    range: Option<ByteRange>,
    out: &Output,
) -> Result<(), String> {
    let target = Target::open_to_read(disks, "sum", provider, range)?;
    let mut hash = Sha256::new();
    let mut reader = Reader::new(&target.device, target.sector, target.range);
    while let Some(bytes) = reader.next().await {
        hash.update(bytes.map_err(|errno| target.failed(errno))?);
        disks.exec.yield_now().await;
    }
    out.line(format_args!("{}  {provider}", Hex(&hash.finalize())));
    Ok(())
}

/// Bytes as hexadecimal digits.
pub(super) struct Hex<'bytes>(pub(super) &'bytes [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
