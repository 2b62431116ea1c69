//! The right to take or to send one packet.

use hv::Hypervisor;
use smoltcp::phy::PacketMeta;

use crate::connection::Connection;
use crate::offload;

/// A packet that was received.
pub struct RxToken<'a> {
    frame: &'a [u8],
}

impl<'a> RxToken<'a> {
    pub(crate) fn new(frame: &'a [u8]) -> Self {
        Self { frame }
    }
}

impl smoltcp::phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.frame)
    }
}

/// The right to send a packet.
pub struct TxToken<'a, H: Hypervisor> {
    connection: &'a Connection<H>,
    meta: PacketMeta,
}

impl<'a, H: Hypervisor> TxToken<'a, H> {
    pub(crate) fn new(connection: &'a Connection<H>) -> Self {
        Self {
            connection,
            meta: PacketMeta::default(),
        }
    }
}

impl<H: Hypervisor> smoltcp::phy::TxToken for TxToken<'_, H> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let taken = self.connection.with(|queues| {
            let room = queues.take_room(length);
            Ok((room, *queues.features(), queues.is_zeroed()))
        });
        let Some((Some(mut room), features, zeroed)) = taken else {
            // It is longer than this connection takes, there is no room for it, or the connection
            // has ended.
            return f(&mut alloc::vec![0; length]);
        };
        let size = self.meta.segmentation_offload_size.map(|size| size.get());
        let (result, work, flow) = room.write(length, zeroed, |frame| {
            let result = f(&mut *frame);
            let work = offload::prepare(frame, &features, size);
            let flow = match features.queues {
                1 => 0,
                queues => offload::queue(frame, queues as usize),
            };
            (result, work, flow)
        });
        self.connection.with(|queues| {
            queues.send(room, length, work, flow);
            Ok(())
        });
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}
