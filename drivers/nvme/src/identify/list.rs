//! The active namespaces' numbers (NVM Express 1.4, 5.15.2.2).

use alloc::vec::Vec;

use crate::bytes::number;

/// The most namespaces of a controller that become disks. One can say that it has billions.
pub(crate) const MOST_NAMESPACES: usize = 16;
/// Numbers in the page.
const ENTRIES: usize = 1024;

/// The list is not in order, or names what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disorder(pub(crate) u32);

/// The numbers in `page`, up to a 0: at most [`MOST_NAMESPACES`], and whether there are more.
/// Each is larger than the one before, and `highest` at most.
pub(crate) fn active(page: &[u8], highest: u32) -> Result<(Vec<u32>, bool), Disorder> {
    let mut found = Vec::new();
    let mut before = 0;
    for index in 0..ENTRIES {
        let id = number::<4>(page, 4 * index) as u32;
        if id == 0 {
            break;
        }
        if id <= before || id > highest {
            return Err(Disorder(id));
        }
        if found.len() == MOST_NAMESPACES {
            return Ok((found, true));
        }
        found.push(id);
        before = id;
    }
    Ok((found, false))
}

/// The numbers there can be, for a controller that lists none.
pub(crate) fn all(highest: u32) -> (Vec<u32>, bool) {
    let most = MOST_NAMESPACES as u32;
    ((1..=highest.min(most)).collect(), highest > most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[u32]) -> Vec<u8> {
        let mut page: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        page.resize(4096, 0);
        page
    }

    #[test]
    fn a_list_ends_at_its_first_zero() {
        assert_eq!(
            active(&page(&[1, 5, 7, 0, 9]), 8),
            Ok((vec![1, 5, 7], false))
        );
        assert_eq!(active(&page(&[]), 8), Ok((vec![], false)));
    }

    #[test]
    fn a_list_out_of_order_or_beyond_the_highest_number_is_refused() {
        assert_eq!(active(&page(&[1, 1]), 8), Err(Disorder(1)));
        assert_eq!(active(&page(&[2, 1]), 8), Err(Disorder(1)));
        assert_eq!(active(&page(&[1, 9]), 8), Err(Disorder(9)));
        assert_eq!(active(&page(&[u32::MAX]), 8), Err(Disorder(u32::MAX)));
    }

    #[test]
    fn no_list_is_followed_further_than_there_are_disks() {
        let many: Vec<u32> = (1..=1024).collect();
        let (found, more) = active(&page(&many), 2000).unwrap();
        assert_eq!((found.len(), more), (MOST_NAMESPACES, true));
        let (found, more) = all(u32::MAX);
        assert_eq!((found.len(), more), (MOST_NAMESPACES, true));
        assert_eq!(all(2), (vec![1, 2], false));
    }

    #[test]
    fn a_list_that_is_shorter_than_a_page_ends_there() {
        assert_eq!(active(&[1, 0, 0, 0, 2], 8), Ok((vec![1], false)));
    }
}
