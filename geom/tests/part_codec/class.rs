//! PART as a class: names, properties, verdicts.

use crate::disk::{Disk, Gpt};
use geom::class::part::Part;
use geom::class::{Class, Verdict};

fn taste(disk: &Disk, outer: &[&'static str]) -> Verdict {
    disk.run(|media| Part.taste(media, outer)).0
}

fn mine(disk: &Disk) -> geom::class::Table {
    match taste(disk, &[]) {
        Verdict::Mine(table) => table,
        other => panic!("{other:?}"),
    }
}

#[test]
fn gpt_partitions_are_p1_p2() {
    let table = mine(&Disk::with_gpt());
    assert_eq!((table.scheme, table.defect), ("GPT", None));
    let named: Vec<_> = table
        .slices
        .iter()
        .map(|s| (s.suffix.as_str(), s.index, s.start, s.length))
        .collect();
    assert_eq!(
        named,
        [
            ("p1", 1, 40 * 512, 1000 * 512),
            ("p2", 2, 2048 * 512, 1953 * 512)
        ]
    );
    let config = &table.slices[0].config;
    assert!(config.contains(&("type", "linux-data".into())));
    assert!(config.contains(&("label", "root".into())));
    assert!(config.contains(&("rawuuid", "01010101-0101-0101-0101-010101010101".into())));
}

#[test]
fn mbr_partitions_are_s1_and_s5() {
    let mut disk = Disk::new(10_000, 512);
    disk.mbr_entry(0, 0, 0x80, 0x83, 64, 100);
    disk.mbr_entry(0, 1, 0, 0x05, 1000, 8000);
    disk.mbr_entry(1000, 0, 0, 0x83, 10, 50);
    let table = mine(&disk);
    let named: Vec<_> = table.slices.iter().map(|s| s.suffix.as_str()).collect();
    assert_eq!((table.scheme, named), ("MBR", vec!["s1", "s5"]));
    assert!(table.slices[0].config.contains(&("active", "1".into())));
}

#[test]
fn damage_is_a_defect_in_words() {
    let mut disk = Disk::with_gpt();
    disk.flip(1, 60);
    let defect = mine(&disk).defect.expect("a defect");
    assert_eq!(defect, "GPT: primary header CRC mismatch, using backup");
}

#[test]
fn rejected_table_is_damaged_and_says_why() {
    let mut disk = Disk::new(4096, 512);
    disk.write_gpt(&Gpt::new(&[(40, 50, "a"), (45, 60, "b")]));
    match taste(&disk, &[]) {
        Verdict::Damaged(why) => {
            assert_eq!(why, "GPT: partition 2 overlaps partition 1, table rejected");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn blank_disk_is_not_mine() {
    assert!(matches!(
        taste(&Disk::new(4096, 512), &[]),
        Verdict::NotMine
    ));
}

#[test]
fn tables_nest_three_deep() {
    let disk = Disk::with_gpt();
    assert!(matches!(taste(&disk, &["GPT", "MBR"]), Verdict::Mine(_)));
    assert!(matches!(
        taste(&disk, &["GPT", "GPT", "GPT"]),
        Verdict::NotMine
    ));
}

#[test]
fn mbr_directly_in_mbr_is_not_mine() {
    let mut disk = Disk::new(10_000, 512);
    disk.mbr_entry(0, 0, 0, 0x83, 64, 100);
    assert!(matches!(taste(&disk, &["MBR"]), Verdict::NotMine));
    assert!(matches!(taste(&disk, &["GPT", "MBR"]), Verdict::Mine(_)));
}
