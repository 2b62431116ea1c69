//! PART over the graph. Its codecs have their own tests; here is what a disk user sees.

use geom::disk::Attribute;
use geom::{Access, Errno, Tasted};

use crate::rig::{Rig, pattern};

/// Writes an MBR: partitions as (type, first sector, sectors).
fn write_mbr(media: &mut [u8], entries: &[(u8, u32, u32)]) {
    media[..512].fill(0);
    for (index, (kind, start, length)) in entries.iter().enumerate() {
        let at = 446 + index * 16;
        media[at + 4] = *kind;
        media[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        media[at + 12..at + 16].copy_from_slice(&length.to_le_bytes());
    }
    media[510..512].copy_from_slice(&[0x55, 0xaa]);
}

const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

/// Writes both copies of a GPT: partitions as (first sector, last sector).
fn write_gpt(media: &mut [u8], partitions: &[(u64, u64)]) {
    let last = media.len() as u64 / 512 - 1;
    write_mbr(media, &[(0xee, 1, last as u32)]);
    let mut table = vec![0; 128 * 128];
    for (index, (first, end)) in partitions.iter().enumerate() {
        let mut entry = LINUX.to_vec();
        entry.extend([index as u8 + 1; 16]);
        entry.extend(first.to_le_bytes());
        entry.extend(end.to_le_bytes());
        entry.extend([0; 8]);
        entry.extend([b'd', 0, b'0' + index as u8, 0]);
        table[index * 128..index * 128 + entry.len()].copy_from_slice(&entry);
    }
    for (own, other, at) in [(1, last, 2), (last, 1, last - 32)] {
        put(media, at, &table);
        let mut header = b"EFI PART\0\0\x01\0\x5c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        for number in [own, other, 34, last - 33] {
            header.extend(u64::to_le_bytes(number));
        }
        header.extend([0x77; 16]);
        header.extend(at.to_le_bytes());
        header.extend(128_u32.to_le_bytes());
        header.extend(128_u32.to_le_bytes());
        header.extend(crc32fast::hash(&table).to_le_bytes());
        let crc = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        put(media, own, &header);
    }
}

fn put(media: &mut [u8], sector: u64, bytes: &[u8]) {
    let at = (sector * 512) as usize;
    media[at..at + bytes.len()].copy_from_slice(bytes);
}

fn gpt_disk() -> Vec<u8> {
    let mut media = pattern(256);
    write_gpt(&mut media, &[(34, 99), (100, 199)]);
    media
}

fn notices(rig: &Rig) -> Vec<String> {
    std::iter::from_fn(|| rig.geom.take_notice()).collect()
}

#[test]
fn a_gpt_becomes_partitions_with_names_and_attributes() {
    let rig = Rig::part();
    let (fake, _handle) = rig.settled_disk(0, gpt_disk());
    assert_eq!(rig.names(), ["xbd0", "xbd0p1", "xbd0p2"]);
    assert_eq!(notices(&rig), ["xbd0: GPT, 2 partitions"]);
    let device = rig.open("xbd0p2", Access::READ);
    let text = |text: &str| Ok(Attribute::Text(text.into()));
    assert_eq!(device.attribute("PART::scheme"), text("GPT"));
    assert_eq!(device.attribute("PART::type"), text("linux-data"));
    assert_eq!(device.attribute("PART::label"), text("d1"));
    assert_eq!(device.attribute("GEOM::ident"), text("serial-0"));
    assert_eq!(
        rig.block(device.read(0, 1024)).unwrap(),
        pattern(256)[51200..52224]
    );
    let log = fake.log.borrow();
    let mut sectors: Vec<u64> = log
        .iter()
        .flat_map(|(_, at, length)| (at / 512)..((at + length) / 512))
        .collect();
    sectors.truncate(sectors.len() - 2);
    sectors.sort_unstable();
    let all = sectors.len();
    sectors.retain(|sector| !(34..200).contains(sector));
    let disk = sectors.len();
    sectors.dedup();
    assert_eq!(sectors.len(), disk, "each sector is read once per provider");
    assert!(all > disk, "partitions are tasted too");
}

#[test]
fn s38_a_grown_disk_keeps_its_gpt_and_says_what_is_wrong() {
    let rig = Rig::part();
    let media = gpt_disk();
    let (fake, handle) = rig.settled_disk(0, media.clone());
    let device = rig.open("xbd0p1", Access::READ_WRITE);
    let id = device.id();
    fake.media.borrow_mut().extend_from_slice(&[0; 256 * 512]);
    handle.resize(512 * 512).unwrap();
    rig.settle();
    assert_eq!(rig.live_names(), ["xbd0", "xbd0p1", "xbd0p2"]);
    assert_eq!(
        rig.geom.provider("xbd0p1").unwrap().id,
        id,
        "the open one is the same"
    );
    assert!(
        rig.geom.list().contains("state: CORRUPT"),
        "{}",
        rig.geom.list()
    );
    assert!(
        !fake
            .log
            .borrow()
            .iter()
            .any(|(command, ..)| *command == geom::disk::Command::Write)
    );
    assert_eq!(
        fake.media.borrow()[..256 * 512],
        media,
        "nothing is written by itself"
    );
}

#[test]
fn s37_a_shrunk_disk_keeps_the_partitions_that_fit() {
    let rig = Rig::part();
    let (_fake, handle) = rig.settled_disk(0, gpt_disk());
    let inside = rig.open("xbd0p1", Access::READ_WRITE);
    let outside = rig.open("xbd0p2", Access::READ);
    handle.resize(150 * 512).unwrap();
    rig.settle();
    assert_eq!(
        (inside.error(), outside.error()),
        (None, Some(Errno::NoDevice))
    );
    assert_eq!(
        rig.block(inside.read(0, 512)).unwrap(),
        pattern(256)[34 * 512..35 * 512]
    );
}

#[test]
fn one_bad_copy_is_a_defect_and_two_are_no_table() {
    let rig = Rig::part();
    let mut media = gpt_disk();
    media[512 + 60] ^= 1;
    let (_fake, handle) = rig.settled_disk(0, media.clone());
    assert_eq!(rig.live_names(), ["xbd0", "xbd0p1", "xbd0p2"]);
    let told = notices(&rig);
    assert!(
        told[0].contains("GPT, 2 partitions, ") && told[0].contains("backup"),
        "{told:?}"
    );
    drop(handle);
    rig.settle();
    media[255 * 512 + 60] ^= 1;
    let (_fake, _handle) = rig.settled_disk(0, media);
    assert_eq!(rig.live_names(), ["xbd0"]);
    let told = notices(&rig);
    assert!(told[0].contains("table rejected"), "{told:?}");
    assert_eq!(rig.geom.provider("xbd0").unwrap().tasted, Tasted::Done);
}

#[test]
fn a_table_inside_a_partition_is_found_when_its_writer_closes() {
    let rig = Rig::part();
    let (_fake, _handle) = rig.settled_disk(0, gpt_disk());
    let mut record = vec![0; 512];
    write_mbr(&mut record, &[(0x83, 4, 16)]);
    let writer = rig.open("xbd0p1", Access::READ_WRITE);
    assert_eq!(rig.block(writer.write(0, record)), Ok(()));
    assert_eq!(rig.names(), ["xbd0", "xbd0p1", "xbd0p2"]);
    drop(writer);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0p1", "xbd0p2", "xbd0p1s1"]);
    assert_eq!(rig.geom.provider("xbd0p1s1").unwrap().offset, 38 * 512);
}

#[test]
fn a_new_table_on_the_raw_disk_replaces_the_old_one() {
    let rig = Rig::part();
    let (fake, _handle) = rig.settled_disk(0, gpt_disk());
    let old = rig.geom.provider("xbd0p1").unwrap().id;
    let mut media = gpt_disk();
    write_gpt(&mut media, &[(50, 60)]);
    let writer = rig.open("xbd0", Access::READ_WRITE);
    assert_eq!(rig.block(writer.write(0, media.clone())), Ok(()));
    drop(writer);
    rig.settle();
    assert_eq!(rig.names(), ["xbd0", "xbd0p1"]);
    let new = rig.geom.provider("xbd0p1").unwrap();
    assert!(new.id != old && new.offset == 50 * 512);
    assert_eq!(*fake.media.borrow(), media);
}

#[test]
fn logical_partitions_are_s5_and_up() {
    let rig = Rig::part();
    let mut media = pattern(512);
    write_mbr(&mut media, &[(0x83, 8, 64), (0x05, 100, 300)]);
    let mut extended = vec![0; 512];
    write_mbr(&mut extended, &[(0x83, 2, 50), (0x05, 60, 100)]);
    put(&mut media, 100, &extended);
    write_mbr(&mut extended, &[(0x83, 2, 20)]);
    put(&mut media, 160, &extended);
    let (_fake, _handle) = rig.settled_disk(0, media);
    let live = rig.live_names();
    let has = |name: &str| live.iter().any(|live| live == name);
    assert!(
        ["xbd0s1", "xbd0s5", "xbd0s6"].into_iter().all(has),
        "{live:?}"
    );
    assert_eq!(rig.geom.provider("xbd0s6").unwrap().offset, 162 * 512);
}

#[test]
fn an_mbr_becomes_slices_that_exclude_the_raw_disk() {
    let rig = Rig::part();
    let mut media = pattern(256);
    write_mbr(&mut media, &[(0x83, 8, 64), (0x0c, 72, 100)]);
    let (fake, handle) = rig.settled_disk(0, media);
    assert_eq!(rig.names(), ["xbd0", "xbd0s1", "xbd0s2"]);
    let device = rig.open("xbd0s2", Access::READ_WRITE);
    assert_eq!(device.media_size(), 100 * 512);
    assert_eq!(
        rig.block(device.read(512, 512)).unwrap(),
        pattern(256)[73 * 512..74 * 512]
    );
    let refusal = rig.geom.open("xbd0", Access::READ_WRITE).err().unwrap();
    assert_eq!(refusal.holder.unwrap(), "PART xbd0 (xbd0s2 held by test)");
    handle.gone();
    rig.settle();
    assert_eq!(rig.block(device.read(0, 512)), Err(Errno::NoDevice));
    drop(device);
    rig.settle();
    assert_eq!(fake.gone.get(), 1);
}
