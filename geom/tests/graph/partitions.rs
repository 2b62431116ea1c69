//! PART over the graph. Its codecs have their own tests; here is what a disk user sees.

use geom::{Access, Errno};

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
