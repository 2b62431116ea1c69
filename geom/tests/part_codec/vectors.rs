//! Tables made by the real tools. Each vector says in its first lines how it was made; only rows of
//! 32 bytes that are not all zero are kept.

use crate::disk::{Disk, places};
use geom::class::part::table::{State, Table};

fn load(text: &str) -> Disk {
    let mut disk = None;
    for line in text.lines().skip_while(|line| !line.starts_with("size ")) {
        let words: Vec<&str> = line.split(' ').collect();
        match (words.as_slice(), &mut disk) {
            (["size", size, "sector", sector], None) => {
                let sector: u32 = sector.parse().expect("good");
                disk = Some(Disk::new(
                    size.parse::<u64>().expect("good") / u64::from(sector),
                    sector,
                ));
            }
            ([offset, hex], Some(disk)) => {
                let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("good");
                let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
                disk.poke(0, usize::from_str_radix(offset, 16).expect("good"), &bytes);
            }
            _ => panic!("not a line of a vector: {line}"),
        }
    }
    disk.expect("a size line")
}

fn read(text: &str) -> (Vec<(u32, u64, u64)>, Table) {
    let disk = load(text);
    let table = disk.table();
    assert_eq!(table.state(), State::Ok, "{:?}", table.reasons());
    (places(&disk, &table), table)
}

fn kinds(table: &Table) -> Vec<String> {
    table
        .partitions()
        .iter()
        .map(|partition| partition.kind.to_string())
        .collect()
}

fn labels(table: &Table) -> Vec<&str> {
    table
        .partitions()
        .iter()
        .map(|partition| partition.label.as_str())
        .collect()
}

#[test]
fn sgdisk() {
    let (places, table) = read(include_str!("vectors/sgdisk.txt"));
    assert_eq!(places, [(1, 40, 1039), (2, 2048, 4000), (5, 1100, 1199)]);
    assert_eq!(kinds(&table), ["efi", "linux-data", "linux-swap"]);
    assert_eq!(labels(&table), ["EFI system", "données", ""]);
    let active: Vec<_> = table
        .partitions()
        .iter()
        .map(|partition| partition.active)
        .collect();
    assert_eq!(active, [false, true, false]);
    let uuid = table.partitions()[2].uuid.expect("a GUID").to_string();
    assert_eq!(uuid, "05050505-0505-0505-0505-050505050505");
}

#[test]
fn sfdisk_gpt() {
    let (places, table) = read(include_str!("vectors/sfdisk_gpt.txt"));
    assert_eq!(places, [(1, 2048, 4095), (2, 4096, 5095)]);
    assert_eq!(kinds(&table), ["linux-data", "linux-swap"]);
    assert_eq!(
        (labels(&table), table.partitions()[1].active),
        (vec!["a", ""], true)
    );
}

#[test]
fn sfdisk_gpt_4096() {
    let (places, table) = read(include_str!("vectors/sfdisk_4k.txt"));
    assert_eq!(places, [(1, 256, 1255)]);
    assert_eq!(table.partitions()[0].start, 256 * 4096);
    assert_eq!(labels(&table), ["4k"]);
}

#[test]
fn parted_gpt() {
    let (places, table) = read(include_str!("vectors/parted_gpt.txt"));
    assert_eq!(places, [(1, 2048, 4095), (2, 4096, 6143)]);
    assert_eq!(labels(&table), ["one", "two"]);
    let uuid = table.partitions()[0].uuid.expect("a GUID").to_string();
    assert_eq!(uuid, "206d5530-5bb5-42b8-8f6e-d5affb64f1fc");
}

#[test]
fn sfdisk_mbr_with_logical_partitions() {
    let (places, table) = read(include_str!("vectors/sfdisk_mbr.txt"));
    let logical = [(5, 6144, 7143), (6, 9216, 10_215), (7, 12_288, 13_787)];
    assert_eq!(
        places,
        [&[(1, 2048, 4095), (3, 14_200, 15_199)][..], &logical].concat()
    );
    assert_eq!(
        kinds(&table),
        [
            "linux-data",
            "ntfs",
            "linux-data",
            "linux-swap",
            "linux-data"
        ]
    );
    assert!(table.partitions()[0].active);
}

#[test]
fn sfdisk_extended_partition_never_filled() {
    let (places, _) = read(include_str!("vectors/sfdisk_extended.txt"));
    assert_eq!(places, []);
}

#[test]
fn parted_mbr_with_logical_partitions() {
    let (places, _) = read(include_str!("vectors/parted_mbr.txt"));
    assert_eq!(places, [(1, 2048, 4095), (5, 6144, 7143), (6, 8192, 9000)]);
}
