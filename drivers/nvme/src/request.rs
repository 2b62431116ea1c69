//! One request that the controller is asked for, and the way of its data.

use alloc::rc::Rc;
use alloc::vec::Vec;

use geom::disk::Piece;
use geom::{Buffer, Memory};
use hv::{Hypervisor, Instant, PAGE_SIZE, Page, SharedMem};

use crate::command::{
    Command, DATASET_MANAGEMENT, DEALLOCATE, DataPointer, FLUSH, FORCE_UNIT_ACCESS, READ, WRITE,
    WRITE_ZEROES,
};
use crate::door::Ask;
use crate::pointer::{List, describe};
use crate::pool::PoolPage;
use crate::queue::address;

/// A request on its way. Its pages are the device's until it completes.
pub(crate) struct Request<H: Hypervisor> {
    /// There until it is completed.
    pub(crate) ask: Option<Ask>,
    pub(crate) opcode: u8,
    pub(crate) pages: Vec<PoolPage<H>>,
    /// When the controller was given it.
    pub(crate) since: Instant,
    /// The controller was told to abort it.
    pub(crate) aborting: bool,
}

/// So many pages does a request need.
pub(crate) fn pages_of(opcode: u8, piece: &Piece) -> usize {
    match opcode {
        READ | WRITE => piece.data.len().div_ceil(PAGE_SIZE),
        DATASET_MANAGEMENT => 1,
        _ => 0,
    }
}

impl<H: Hypervisor> Request<H> {
    /// Has what the controller is to read copied to the pages. It is there when the data is
    /// settled.
    pub(crate) fn fill(&self) {
        let Some(ask) = &self.ask else { return };
        match (self.opcode, self.pages.first()) {
            (WRITE, _) => self.each_part(&ask.bio.data, |data, at, part| {
                // The parts of a buffer's own length lie inside it.
                let _inside = data.copy_to(at, part);
            }),
            (DATASET_MANAGEMENT, Some(page)) => page.page().write(0, &range(&ask.bio, ask.shift)),
            _ => {}
        }
    }

    /// Has what was read copied from the pages. It is there when the data is settled.
    pub(crate) fn empty(&self) {
        if let Some(ask) = &self.ask
            && self.opcode == READ
        {
            self.each_part(&ask.bio.data, |data, at, part| {
                let _inside = data.copy_from(at, part);
            });
        }
    }

    /// The parts of the pages that `data` fills, with where in it each begins.
    fn each_part(&self, data: &Buffer, mut each: impl FnMut(&Buffer, usize, &Buffer)) {
        let length = data.len();
        for (page, at) in self.pages.iter().zip((0..length).step_by(PAGE_SIZE)) {
            let memory: Rc<dyn Memory> = page.clone();
            // No part is longer than a page.
            if let Ok(part) = Buffer::over(memory).part(0..PAGE_SIZE.min(length - at)) {
                each(data, at, &part);
            }
        }
    }

    /// The command for the controller; a list of pages goes to `place` in `lists`.
    pub(crate) fn command(&self, sgl: bool, (lists, place): (&H::Page, usize)) -> Option<Command> {
        let ask = self.ask.as_ref()?;
        let (namespace, shift) = (ask.namespace, ask.shift);
        let (first, blocks) = (ask.bio.offset >> shift, ask.bio.length >> shift);
        let blocks = u32::try_from(blocks).ok()?;
        let mut command = match self.opcode {
            FLUSH => Command {
                namespace,
                ..Command::default()
            },
            DATASET_MANAGEMENT => Command {
                opcode: DATASET_MANAGEMENT,
                namespace,
                // One range, counted from 0.
                dwords: [0, DEALLOCATE, 0, 0, 0, 0],
                ..Command::default()
            },
            opcode => Command::of_blocks(opcode, namespace, first, blocks),
        };
        match self.opcode {
            READ | WRITE => command.data = self.describe(ask.bio.data.len(), sgl, (lists, place)),
            DATASET_MANAGEMENT => {
                command.data = DataPointer::page(address(self.pages.first()?.page()))
            }
            // Erased is what is so on the media.
            WRITE_ZEROES => command.dwords[2] |= FORCE_UNIT_ACCESS,
            _ => {}
        }
        Some(command)
    }

    fn describe(&self, length: usize, sgl: bool, (lists, place): (&H::Page, usize)) -> DataPointer {
        let mut addresses = [0; crate::pointer::MOST_PAGES];
        let count = self.pages.len().min(addresses.len());
        for (place, page) in addresses.iter_mut().zip(&self.pages) {
            *place = address(page.page());
        }
        let pages = addresses.get(..count).unwrap_or_default();
        let mut list = List::new();
        let at = lists.mfn().0 * PAGE_SIZE as u64 + place as u64;
        let pointer = describe(pages, length, sgl, at, &mut list);
        lists.write(place, list.bytes());
        pointer
    }
}

/// The one range of a Dataset Management command: attributes, blocks, the first block.
fn range(piece: &Piece, shift: u32) -> [u8; 16] {
    // No more than that are asked for.
    let blocks = u32::try_from(piece.length >> shift).unwrap_or(u32::MAX);
    let mut range = [0; 16];
    range[4..8].copy_from_slice(&blocks.to_le_bytes());
    range[8..].copy_from_slice(&(piece.offset >> shift).to_le_bytes());
    range
}
