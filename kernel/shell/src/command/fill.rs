//! `fill`: writes a pattern that can be computed elsewhere, and reads it back.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use geom::Errno;
use geom::request::Io;
use sha2::{Digest, Sha256};

use super::reader::{CHUNK, IN_FLIGHT, Reader};
use super::sum::Hex;
use super::target::{Disks, Target};
use crate::output::Output;
use crate::pattern;
use crate::request::ByteRange;

pub(super) async fn run(
    disks: &Disks<'_>,
    provider: &str,
    seed: u64,
    range: Option<ByteRange>,
    out: &Output,
) -> Result<(), String> {
    let target = Target::open_to_write(disks, "fill", provider, range)?;
    let sum = write(disks, &target, seed)
        .await
        .map_err(|errno| target.failed(errno))?;
    let flushed = match target.device.flush().await {
        Ok(()) => "flushed",
        Err(Errno::NotSupported) => "not flushed: the device has no flush",
        Err(errno) => return Err(format!("fill: {provider}: flush: {errno}")),
    };
    verify(disks, &target, seed).await?;
    let ByteRange { offset, length } = target.range;
    out.line(format_args!(
        "{provider}: {length} bytes at {offset} written, {flushed}, read back"
    ));
    out.line(format_args!("{sum}  {provider}"));
    Ok(())
}

/// Writes the range; returns the SHA-256 of what was written.
async fn write(disks: &Disks<'_>, target: &Target, seed: u64) -> Result<String, Errno> {
    let ByteRange { offset, length } = target.range;
    let mut hash = Sha256::new();
    let mut flights: VecDeque<Io> = VecDeque::with_capacity(IN_FLIGHT);
    let mut position = 0;
    while position < length {
        let count = (length - position).min(CHUNK);
        let mut bytes = vec![0; count as usize];
        pattern::write(seed, position, &mut bytes);
        hash.update(&bytes);
        if flights.len() == IN_FLIGHT
            && let Some(oldest) = flights.pop_front()
        {
            oldest.await?;
        }
        flights.push_back(target.device.write(offset + position, bytes));
        position += count;
        disks.exec.yield_now().await;
    }
    for flight in flights {
        flight.await?;
    }
    Ok(format!("{}", Hex(&hash.finalize())))
}

async fn verify(disks: &Disks<'_>, target: &Target, seed: u64) -> Result<(), String> {
    let mut reader = Reader::new(&target.device, target.sector, target.range);
    let mut position = 0;
    while let Some(bytes) = reader.next().await {
        let bytes = bytes.map_err(|errno| target.failed(errno))?;
        let mut expected = vec![0; bytes.len()];
        pattern::write(seed, position, &mut expected);
        let differs = bytes
            .iter()
            .zip(&expected)
            .position(|(read, written)| read != written);
        if let Some(at) = differs {
            let offset = target.range.offset + position + at as u64;
            let (read, written) = (bytes[at], expected[at]);
            return Err(format!(
                "fill: {}: byte {offset} reads back as {read:#04x}, {written:#04x} was written",
                target.name
            ));
        }
        position += bytes.len() as u64;
        disks.exec.yield_now().await;
    }
    Ok(())
}
