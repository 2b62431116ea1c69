//! Harness for GUID partition tables.
//!
//! Oracle: all of [`lawful`]; and for a table that is used:
//!
//! * the header that counts, encoded again, loads as the same header, and is what is
//!   on the disk where that has nothing in reserved fields;
//! * recovery, where it is possible, never writes into a partition, leaves the same partitions
//!   after each single write, and ends with a table that is OK.

use crate::image::Image;
use crate::laws::lawful;
use geom::class::part::gpt::Copies;
use geom::class::part::header::Header;
use geom::class::part::parse::parse;
use geom::class::part::recover::{Unrecoverable, recover};
use geom::class::part::table::{Scheme, State, Table};

/// Runs one input. Its format is that of [`image`](crate::image).
///
/// # Panics
/// If the oracle is broken.
pub fn gpt(data: &[u8]) {
    let disk = Image::new(data);
    let table = lawful(&disk).filter(|t| t.scheme() == Scheme::Gpt && t.state() != State::Rejected);
    let Some(table) = table else {
        let refused = disk.run_warm(recover);
        assert_eq!(refused, Err(Unrecoverable::NoGoodCopy));
        return;
    };
    header_round_trip(&disk);
    recovery(disk, &table);
}

fn header_round_trip(disk: &Image) {
    let copies = disk.run_warm(Copies::load);
    let header = &copies
        .chosen()
        .expect("a used table has a good copy")
        .header;
    let encoded = header.encode(disk.sector_size);
    let mut again = disk.clone();
    again.write(header.own_lba, &encoded);
    let loaded = again.run_warm(|media| Header::load(media, header.own_lba));
    assert_eq!(loaded.as_ref(), Ok(header));
    let original = disk.sector(header.own_lba).expect("it was read");
    if header.size == 92 && original[20..24] == [0; 4] {
        assert_eq!(encoded[..92], original[..92]);
    }
}

fn recovery(mut disk: Image, table: &Table) {
    let writes = match disk.run_warm(recover) {
        Ok(writes) => writes,
        Err(why) => {
            assert_eq!(why, Unrecoverable::NoRoom);
            return;
        }
    };
    assert_eq!(writes.is_empty(), table.state() == State::Ok);
    for write in writes {
        let end = write.offset + write.bytes.len() as u64;
        let missed = |start: u64, stop: u64| end <= start || stop <= write.offset;
        assert!(
            table.partitions().iter().all(|p| missed(p.start, p.end())),
            "{write:?}"
        );
        disk.write(write.offset / u64::from(disk.sector_size), &write.bytes);
        let now = disk
            .run_warm(|media| parse(media, None))
            .expect("still a table");
        assert_eq!(now.partitions(), table.partitions());
    }
    let recovered = disk.run_warm(|media| parse(media, None)).expect("a table");
    assert_eq!(
        (recovered.scheme(), recovered.state()),
        (Scheme::Gpt, State::Ok)
    );
}
