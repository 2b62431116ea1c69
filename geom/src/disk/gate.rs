//! What may pass to a driver, judged when a request is made and again when it is sent.

use crate::bio::Command;
use crate::disk::DiskParams;
use crate::disk::record::DiskRecord;
use crate::errno::Errno;
use crate::id::DiskId;
use crate::node::Consumer;
use crate::provider::Provider;
use crate::request::{Order, Rest};

/// Where a request goes that may pass.
pub(crate) struct Passage {
    pub(crate) disk: DiskId,
    /// First byte on the disk.
    pub(crate) offset: u64,
    /// Number of bytes; 0 for a flush only.
    pub(crate) length: u64,
    /// Of the provider, now.
    pub(crate) sector_size: u32,
}

/// Whether an order may pass, and to where.
///
/// # Errors
/// What it ends with at once: an error, or that there is nothing to do.
pub(crate) fn gate(
    consumer: &Consumer,
    provider: &Provider,
    disk: &DiskRecord,
    order: &Order,
) -> Result<Passage, Result<(), Errno>> {
    let counts = consumer.counts;
    let limits = &disk.params.limits;
    let (opened, possible, carried) = match order.command {
        Command::Read => (counts.read, true, order.length),
        Command::Write => (counts.write, true, order.length),
        Command::Delete => (counts.write, limits.can_delete, 0),
        Command::Erase => (counts.write, limits.can_erase, 0),
        Command::Flush => (counts.write, limits.can_flush, 0),
    };
    if opened == 0 || consumer.closing {
        return Err(Err(Errno::NotPermitted));
    }
    if let Some(errno) = provider.error {
        return Err(Err(errno));
    }
    if consumer.orphan || provider.media_size == 0 || !disk.is_live() {
        return Err(Err(Errno::NoDevice));
    }
    if !possible {
        return Err(Err(Errno::NotSupported));
    }
    let passage = |offset, length| Passage {
        disk: provider.base.disk,
        offset,
        length,
        sector_size: provider.sector_size,
    };
    if order.command == Command::Flush {
        return Ok(passage(0, 0));
    }
    // The sector size is a power of two.
    let below_sector = u64::from(provider.sector_size) - 1;
    let aligned = (order.offset | order.length) & below_sector == 0;
    if !aligned || order.data.len() as u64 != carried {
        return Err(Err(Errno::Invalid));
    }
    let end = order.offset.checked_add(order.length);
    if end.is_none_or(|end| end > provider.media_size) {
        return Err(Err(Errno::BeyondEnd));
    }
    if order.length == 0 {
        return Err(Ok(()));
    }
    Ok(passage(provider.base.offset + order.offset, order.length))
}

/// Whether what passed the gate cannot be sent any more: the disk changed meanwhile.
pub(crate) fn refuse(rest: &Rest, params: &DiskParams) -> Option<Errno> {
    let limits = &params.limits;
    let possible = match rest.piece.command {
        Command::Read | Command::Write => true,
        Command::Delete => limits.can_delete,
        Command::Erase => limits.can_erase,
        Command::Flush => limits.can_flush,
    };
    let end = rest.piece.offset + rest.piece.length;
    if rest.sector_size != params.sector_size {
        Some(Errno::NoDevice)
    } else if !possible {
        Some(Errno::NotSupported)
    } else {
        (end > params.media_size).then_some(Errno::BeyondEnd)
    }
}
