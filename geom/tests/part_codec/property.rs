//! Seeded properties: what is written is read back, and no damage makes an unsafe table.

use crate::disk::{Disk, Gpt, places};
use geom::class::part::table::State;

/// SplitMix64: enough for choosing test cases, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A disk of random geometry with a random good table, and where its partitions are.
fn good_disk(random: &mut Random) -> (Disk, Vec<(u32, u64, u64)>) {
    let sector_size = 512 << random.below(4);
    let mut disk = Disk::new(300 + random.below(1 << 33), sector_size);
    let mut gpt = Gpt::new(&[]);
    gpt.count = 1 + random.below(200) as u32;
    gpt.entry_size = 128 + 8 * random.below(4) as u32;
    let taken = disk.table_sectors(&gpt);
    let end = disk.last() - taken - 1;
    let mut next = 2 + taken;
    let mut expected = Vec::new();
    let mut ranges = Vec::new();
    while ranges.len() < gpt.count as usize && next < end && random.below(20) > 0 {
        let first = next + random.below(10);
        let last = first + random.below((end - next) / 4 + 1);
        if last > end {
            break;
        }
        ranges.push((first, last, "label"));
        expected.push((ranges.len() as u32, first, last));
        next = last + 1;
    }
    gpt.entries = Gpt::new(&ranges).entries;
    disk.write_gpt(&gpt);
    (disk, expected)
}

#[test]
fn good_tables_are_read_as_written() {
    for seed in 0..500 {
        let (disk, expected) = good_disk(&mut Random(seed));
        let table = disk.table();
        assert_eq!(
            table.state(),
            State::Ok,
            "seed {seed}: {:?}",
            table.reasons()
        );
        assert_eq!(places(&disk, &table), expected, "seed {seed}");
    }
}

/// One copy damaged anywhere: header and entries are under CRCs, so the partitions never change.
#[test]
fn any_damage_to_one_copy_changes_no_partition() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let (mut disk, expected) = good_disk(&mut random);
        let size = u64::from(disk.sector_size);
        let header = if random.below(2) == 0 { 1 } else { disk.last() };
        if random.below(2) == 0 {
            disk.flip(header, random.below(92) as usize);
        } else {
            let sector = disk.sector(header);
            let number =
                |at: usize| u64::from_le_bytes(sector[at..at + 8].try_into().expect("good"));
            let bytes = (number(80) & 0xffff_ffff) * (number(80) >> 32);
            let at = random.below(bytes);
            disk.flip(number(72) + at / size, (at % size) as usize);
        }
        let table = disk.table();
        assert_eq!(table.state(), State::Corrupt, "seed {seed}");
        assert_eq!(places(&disk, &table), expected, "seed {seed}");
        assert_eq!(table.reasons().len(), 1, "seed {seed}");
    }
}

/// Some sectors cannot be read: the table is the right one, or there is none that is used.
#[test]
fn bad_sectors_never_make_another_table() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let (mut disk, expected) = good_disk(&mut random);
        for _ in 0..random.below(4) {
            let near = random.below(8);
            disk.bad.insert(if random.below(2) == 0 {
                near
            } else {
                disk.last() - near
            });
        }
        if let Some(table) = disk.parse()
            && table.state() != State::Rejected
        {
            assert_eq!(places(&disk, &table), expected, "seed {seed}");
        }
    }
}
