//! What a taster may see: bounds, budget, and each sector only once.

use crate::disk::{Disk, Gpt};
use geom::class::part::parse::parse;
use geom::media::{BUDGET, Media, MediaError, Need, Unreadable};
use std::collections::BTreeSet;

fn media() -> Media {
    Media::new(10 * 512, 512).expect("good")
}

#[test]
fn need_is_met_then_read() {
    let mut media = media();
    let need = media.read(512, 1024).unwrap_err();
    assert_eq!(
        need,
        Need {
            offset: 512,
            length: 1024
        }
    );
    media.supply(512, &[7; 1024]).expect("sectors");
    assert_eq!(media.read(512, 1024), Ok(Ok(vec![7; 1024])));
    assert_eq!(media.read_sector(2), Ok(Ok(vec![7; 512])));
}

#[test]
fn only_unknown_sectors_are_asked_for() {
    let mut media = media();
    media.supply(4 * 512, &[1; 512]).expect("sectors");
    assert_eq!(
        media.read(512, 8 * 512),
        Err(Need {
            offset: 512,
            length: 3 * 512
        })
    );
    media.supply(512, &[2; 3 * 512]).expect("sectors");
    assert_eq!(
        media.read(512, 8 * 512),
        Err(Need {
            offset: 5 * 512,
            length: 4 * 512
        })
    );
}

#[test]
fn first_supply_of_a_sector_stays() {
    let mut media = media();
    media.supply(0, &[1; 512]).expect("sectors");
    media.supply(0, &[2; 1024]).expect("sectors");
    let mut expected = vec![1; 512];
    expected.extend([2; 512]);
    assert_eq!(media.read(0, 1024), Ok(Ok(expected)));
}

#[test]
fn reads_outside_the_media_are_refused() {
    let media = media();
    let last = u64::MAX - 511;
    for (offset, length) in [
        (0, 11 * 512),
        (10 * 512, 512),
        (last, 512),
        (last, last),
        (0, 0),
        (1, 512),
        (0, 511),
    ] {
        assert_eq!(media.read(offset, length), Ok(Err(Unreadable::OutOfRange)));
    }
    assert_eq!(media.read_sector(10), Ok(Err(Unreadable::OutOfRange)));
    assert_eq!(media.read_sector(u64::MAX), Ok(Err(Unreadable::OutOfRange)));
}

#[test]
fn media_without_sectors() {
    let media = Media::new(511, 512).expect("good");
    assert_eq!((media.size(), media.sector_count()), (0, 0));
    assert_eq!(media.read_sector(0), Ok(Err(Unreadable::OutOfRange)));
}

#[test]
fn part_of_a_sector_at_the_end_does_not_count() {
    assert_eq!(
        Media::new(3 * 512 + 511, 512).expect("good").size(),
        3 * 512
    );
}

#[test]
fn impossible_sector_sizes() {
    for size in [0, 1, 256, 511, 513, 520, 131_072, u32::MAX] {
        assert_eq!(
            Media::new(1 << 30, size).err(),
            Some(MediaError::SectorSize(size))
        );
    }
}

#[test]
fn supplies_that_are_not_sectors_are_refused() {
    let mut media = media();
    for (offset, length) in [(0, 0), (1, 512), (0, 100), (9 * 512, 1024), (u64::MAX, 512)] {
        let bytes = vec![0; length as usize];
        assert_eq!(
            media.supply(offset, &bytes),
            Err(MediaError::Supply { offset, length })
        );
    }
    assert_eq!(media.held(), 0);
}

#[test]
fn budget_bounds_one_read_and_all_together() {
    let mut media = Media::new(u64::MAX, 512).expect("good");
    assert_eq!(media.read(0, BUDGET + 512), Ok(Err(Unreadable::OverBudget)));
    assert_eq!(media.read(0, 1 << 60), Ok(Err(Unreadable::OverBudget)));
    media
        .supply(0, &vec![0; BUDGET as usize - 512])
        .expect("sectors");
    assert_eq!(media.read(1 << 40, 1024), Ok(Err(Unreadable::OverBudget)));
    assert_eq!(
        media.read(1 << 40, 512),
        Err(Need {
            offset: 1 << 40,
            length: 512
        })
    );
    media.supply(1 << 40, &[0; 4096]).expect("sectors");
    assert_eq!(media.held(), BUDGET);
    assert_eq!(media.read(1 << 50, 512), Ok(Err(Unreadable::OverBudget)));
    assert!(media.read(0, 4096).expect("no need").is_ok());
}

#[test]
fn one_bad_sector_does_not_hide_its_neighbours() {
    let mut media = media();
    media.supply_error(Need {
        offset: 0,
        length: 3 * 512,
    });
    for lba in [0, 2] {
        let need = media.read_sector(lba).unwrap_err();
        assert_eq!(
            need,
            Need {
                offset: lba * 512,
                length: 512
            }
        );
        media.supply(need.offset, &[5; 512]).expect("sectors");
    }
    media.supply_error(media.read_sector(1).unwrap_err());
    assert_eq!(media.read_sector(1), Ok(Err(Unreadable::Failed)));
    assert_eq!(media.read(0, 3 * 512), Ok(Err(Unreadable::Failed)));
    assert_eq!(media.read_sector(0), Ok(Ok(vec![5; 512])));
}

#[test]
fn a_late_error_does_not_take_away_what_is_there() {
    let mut media = media();
    media.supply(0, &[5; 512]).expect("sectors");
    media.supply_error(Need {
        offset: 0,
        length: 512,
    });
    media.supply_error(Need {
        offset: u64::MAX,
        length: u64::MAX,
    });
    assert_eq!(media.read_sector(0), Ok(Ok(vec![5; 512])));
}

/// The disk is a good table of one partition at the first read of a sector, and of another one at
/// each later read. No sector may be read twice, and what comes out is the first.
#[test]
fn a_table_that_changes_between_reads_is_seen_in_one_version() {
    let disk = |label| {
        let mut disk = Disk::new(4096, 512);
        disk.write_gpt(&Gpt::new(&[(40, 1039, label)]));
        disk
    };
    let (first, later) = (disk("first"), disk("later"));
    let mut media = first.media();
    let mut read = BTreeSet::new();
    let table = loop {
        let need = match parse(&media, None) {
            Ok(table) => break table.expect("a table"),
            Err(need) => need,
        };
        for lba in need.offset / 512..(need.offset + need.length) / 512 {
            let fresh = read.insert(lba);
            assert!(fresh, "sector {lba} was read twice");
            let source = if fresh { &first } else { &later };
            media
                .supply(lba * 512, &source.sector(lba))
                .expect("sectors");
        }
        let everything: Vec<u8> = (0..100).flat_map(|lba| later.sector(lba)).collect();
        media.supply(0, &everything).expect("sectors");
    };
    assert_eq!(table, first.table());
}
