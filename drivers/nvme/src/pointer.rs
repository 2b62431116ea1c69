//! Where a request's data is: PRP entries, or a scatter-gather list (NVM Express 1.4, 4.3 and 4.4);
//! pure.

use hv::PAGE_SIZE;

use crate::command::DataPointer;

/// The most pages of one request: 128 KiB.
pub(crate) const MOST_PAGES: usize = 32;
/// Bytes of a request's list of pages: an SGL descriptor is 16 bytes, a PRP entry 8. A divisor of a
/// page, so no list crosses into the next one.
pub(crate) const LIST_SIZE: usize = MOST_PAGES * DESCRIPTOR_SIZE;

const DESCRIPTOR_SIZE: usize = 16;
/// An SGL descriptor's last byte: a block of data.
const DATA_BLOCK: u8 = 0x00;
/// The same: a list without another one behind it.
const LAST_SEGMENT: u8 = 0x30;

/// A request's list, as it is to be written to its place.
pub(crate) struct List {
    bytes: [u8; LIST_SIZE],
    length: usize,
}

impl List {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; LIST_SIZE],
            length: 0,
        }
    }

    /// What it holds; nothing if the command needs no list.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, entry: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + entry.len()) {
            room.copy_from_slice(entry);
            self.length += entry.len();
        }
    }
}

/// Describes `length` bytes that fill `pages`, at most [`MOST_PAGES`] addresses, from the start.
/// What does not fit the command goes to `list`, which is at `place`. With `sgl` the controller
/// takes scatter-gather lists, where pages in a row are one piece.
pub(crate) fn describe(
    pages: &[u64],
    length: usize,
    sgl: bool,
    place: u64,
    list: &mut List,
) -> DataPointer {
    list.length = 0;
    match pages {
        [] => DataPointer::default(),
        [one] => DataPointer::page(*one),
        [one, two] => DataPointer {
            words: [*one, *two],
            is_sgl: false,
        },
        [first, ..] if sgl => {
            let mut run = (*first, 0);
            for (page, at) in pages.iter().zip((0..length).step_by(PAGE_SIZE)) {
                let bytes = (length - at).min(PAGE_SIZE) as u64;
                if run.0 + run.1 == *page {
                    run.1 += bytes;
                } else {
                    list.push(&descriptor(run.0, run.1, DATA_BLOCK));
                    run = (*page, bytes);
                }
            }
            let last = descriptor(run.0, run.1, DATA_BLOCK);
            if list.length == 0 {
                return sgl_pointer(last);
            }
            list.push(&last);
            sgl_pointer(descriptor(place, list.length as u64, LAST_SEGMENT))
        }
        [first, rest @ ..] => {
            for page in rest {
                list.push(&page.to_le_bytes());
            }
            DataPointer {
                words: [*first, place],
                is_sgl: false,
            }
        }
    }
}

/// An SGL descriptor: address, length, and what it is.
fn descriptor(address: u64, length: u64, kind: u8) -> [u8; DESCRIPTOR_SIZE] {
    let mut bytes = [0; DESCRIPTOR_SIZE];
    bytes[..8].copy_from_slice(&address.to_le_bytes());
    bytes[8..12].copy_from_slice(&(length as u32).to_le_bytes());
    bytes[15] = kind;
    bytes
}

fn sgl_pointer(descriptor: [u8; DESCRIPTOR_SIZE]) -> DataPointer {
    let value = u128::from_le_bytes(descriptor);
    DataPointer {
        words: [value as u64, (value >> 64) as u64],
        is_sgl: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: u64 = 0x9_0200;

    fn with(pages: &[u64], length: usize, sgl: bool) -> (DataPointer, Vec<u8>) {
        let mut list = List::new();
        let pointer = describe(pages, length, sgl, PLACE, &mut list);
        (pointer, list.bytes().to_vec())
    }

    #[test]
    fn up_to_two_pages_stand_in_the_command() {
        for sgl in [false, true] {
            let (pointer, list) = with(&[0x7000], 512, sgl);
            assert_eq!((pointer, list.len()), (DataPointer::page(0x7000), 0));
            let (pointer, list) = with(&[0x7000, 0x3000], 4608, sgl);
            assert_eq!((pointer.words, list.len()), ([0x7000, 0x3000], 0));
            assert!(!pointer.is_sgl);
        }
    }

    #[test]
    fn more_pages_stand_in_a_list_of_prp_entries() {
        let (pointer, list) = with(&[0x7000, 0x3000, 0x5000], 12288, false);
        assert_eq!(pointer.words, [0x7000, PLACE]);
        let entries: Vec<u8> = [0x3000u64, 0x5000]
            .iter()
            .flat_map(|page| page.to_le_bytes())
            .collect();
        assert_eq!(list, entries);
    }

    #[test]
    fn pages_in_a_row_are_one_piece_of_a_scatter_gather_list() {
        let (pointer, list) = with(&[0x7000, 0x8000, 0x3000], 8192 + 512, true);
        assert!(pointer.is_sgl && list.len() == 32);
        assert_eq!(pointer.words, [PLACE, 0x3000_0000_0000_0020]);
        assert_eq!(
            list[..16],
            [0, 0x70, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            list[16..],
            [0, 0x30, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]
        );
        let (pointer, list) = with(&[0x7000, 0x8000, 0x9000], 12288, true);
        assert_eq!((pointer.words, list.len()), ([0x7000, 0x3000], 0));
        assert!(pointer.is_sgl, "one block of data, without a list");
    }

    #[test]
    fn the_largest_request_fills_its_list_and_no_more() {
        let pages: Vec<u64> = (0..MOST_PAGES as u64).map(|page| page * 0x2000).collect();
        let length = MOST_PAGES * PAGE_SIZE;
        assert_eq!(with(&pages, length, true).1.len(), LIST_SIZE);
        assert_eq!(with(&pages, length, false).1.len(), (MOST_PAGES - 1) * 8);
        assert_eq!(PAGE_SIZE % LIST_SIZE, 0);
    }
}
