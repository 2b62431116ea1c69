//! Carrying out requests without data: flush, trim, write zeroes; and the end of all that write.

use alloc::rc::Rc;
use core::future::Future;

use geom::{Buffer, Device, Errno};

use crate::budget::{PIECE, Permit};
use crate::code::Code;
use crate::connection::Connection;
use crate::wire::Request;

/// The longest part of a trim that GEOM is asked for at once, in bytes, as blkback has it.
const TRIM_PIECE: u64 = 16 << 20;

pub(crate) async fn flush(client: Rc<Connection>, order: (Request, Permit)) {
    let (request, permit) = order;
    let result = client.device().flush().await.map_err(Code::from);
    client.answer(&request, result, permit);
}

/// Parts end at multiples of [`TRIM_PIECE`], so that no unit of the disk's is cut.
pub(crate) async fn trim(client: Rc<Connection>, order: (Request, Permit), durable: bool) {
    let (request, permit) = order;
    let part = |at: u64, left: u64| left.min(TRIM_PIECE - at % TRIM_PIECE);
    let delete = |at, length| client.device().delete(at, length);
    let result = in_parts(&client, &request, part, delete).await;
    let result = settle(client.device(), result.map_err(Code::from), durable).await;
    client.answer(&request, result, permit);
}

/// There is no such command in GEOM: zeroes are written, all from the same memory.
pub(crate) async fn write_zeroes(client: Rc<Connection>, order: (Request, Permit), durable: bool) {
    let (request, permit) = order;
    let Some(zeroes) = client.share.memory().zeroed(request.length.min(PIECE)) else {
        return client.answer(&request, Err(Code::NoMemory), permit);
    };
    let zeroes = Buffer::from(zeroes);
    let part = |_, left: u64| left.min(PIECE.into());
    let write = |at, length: u64| {
        let part = zeroes.part(0..usize::try_from(length).unwrap_or(usize::MAX));
        client
            .device()
            .write(at, part.unwrap_or_else(|_| zeroes.clone()))
    };
    let result = in_parts(&client, &request, part, write).await;
    let result = settle(client.device(), result.map_err(Code::from), durable).await;
    client.answer(&request, result, permit);
}

/// Does a range in parts, one after the other, up to the first error. When the client has left, no
/// further part is begun.
async fn in_parts<F: Future<Output = Result<(), Errno>>>(
    client: &Connection,
    request: &Request,
    part: impl Fn(u64, u64) -> u64,
    begin: impl Fn(u64, u64) -> F,
) -> Result<(), Errno> {
    let mut at = request.offset;
    let end = at.saturating_add(request.length.into());
    while at < end && !client.outgoing.is_closed() {
        let length = part(at, end - at);
        begin(at, length).await?;
        at += length;
        client.exec.yield_now().await;
    }
    Ok(())
}

/// How a request that wrote has ended, after the flush that it may have asked for.
pub(crate) async fn settle(
    device: &Device,
    result: Result<(), Code>,
    durable: bool,
) -> Result<(), Code> {
    result?;
    if durable {
        device.flush().await?;
    }
    Ok(())
}
