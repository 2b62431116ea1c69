//! A sparse disk in memory, and a core that reads for the parser what it asks for.

use geom::class::part::parse::parse;
use geom::class::part::table::{Scheme, Table};
use geom::media::{BUDGET, Media, Need};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const LINUX: [u8; 16] = [
    0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
];

#[derive(Clone)]
pub(crate) struct Disk {
    pub(crate) sector_size: u32,
    pub(crate) sectors: u64,
    pub(crate) bad: BTreeSet<u64>,
    data: BTreeMap<u64, Vec<u8>>,
}

/// A GPT to be written, field by field. Sizes and places are those of the usual tools.
#[derive(Clone)]
pub(crate) struct Gpt {
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) count: u32,
    pub(crate) entry_size: u32,
    pub(crate) disk: [u8; 16],
}

impl Disk {
    pub(crate) fn new(sectors: u64, sector_size: u32) -> Self {
        Self {
            sector_size,
            sectors,
            bad: BTreeSet::new(),
            data: BTreeMap::new(),
        }
    }

    /// 4096 sectors of 512 bytes with partitions 40..=1039 ("root") and 2048..=4000 ("data").
    pub(crate) fn with_gpt() -> Self {
        let mut disk = Self::new(4096, 512);
        disk.write_gpt(&Gpt::new(&[(40, 1039, "root"), (2048, 4000, "data")]));
        disk
    }

    pub(crate) fn last(&self) -> u64 {
        self.sectors - 1
    }

    pub(crate) fn sector(&self, lba: u64) -> Vec<u8> {
        self.data
            .get(&lba)
            .cloned()
            .unwrap_or_else(|| vec![0; self.sector_size as usize])
    }

    pub(crate) fn poke(&mut self, lba: u64, at: usize, bytes: &[u8]) {
        let size = self.sector_size as usize;
        let mut at = at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let sector = self
                .data
                .entry(lba + (at / size) as u64)
                .or_insert_with(|| vec![0; size]);
            let place = &mut sector[at % size..];
            let (now, later) = rest.split_at(place.len().min(rest.len()));
            place[..now.len()].copy_from_slice(now);
            (at, rest) = (at + now.len(), later);
        }
    }

    pub(crate) fn clear(&mut self, lba: u64) {
        self.data.remove(&lba);
    }

    pub(crate) fn flip(&mut self, lba: u64, at: usize) {
        let byte = self.sector(lba)[at] ^ 1;
        self.poke(lba, at, &[byte]);
    }

    /// Changes a header's bytes and makes its CRC right again.
    pub(crate) fn forge(&mut self, lba: u64, at: usize, bytes: &[u8]) {
        self.poke(lba, at, bytes);
        self.seal(lba);
    }

    pub(crate) fn seal(&mut self, lba: u64) {
        self.poke(lba, 16, &[0; 4]);
        let sector = self.sector(lba);
        let size = u32::from_le_bytes(sector[12..16].try_into().expect("4 bytes")) as usize;
        let crc = crc32fast::hash(&sector[..size.min(sector.len())]);
        self.poke(lba, 16, &crc.to_le_bytes());
    }

    pub(crate) fn table_sectors(&self, gpt: &Gpt) -> u64 {
        (u64::from(gpt.count) * u64::from(gpt.entry_size)).div_ceil(u64::from(self.sector_size))
    }

    pub(crate) fn write_gpt(&mut self, gpt: &Gpt) {
        let taken = self.table_sectors(gpt);
        let last = self.last();
        self.mbr_entry(0, 0, 0, 0xee, 1, u32::try_from(last).unwrap_or(u32::MAX));
        self.write_copy(gpt, 1, last, 2);
        self.write_copy(gpt, last, 1, last - taken);
    }

    pub(crate) fn write_copy(&mut self, gpt: &Gpt, own: u64, other: u64, table: u64) {
        let taken = self.table_sectors(gpt);
        let mut bytes = vec![0; gpt.count as usize * gpt.entry_size as usize];
        for (slot, entry) in bytes.chunks_mut(gpt.entry_size as usize).zip(&gpt.entries) {
            slot[..entry.len()].copy_from_slice(entry);
        }
        self.poke(table, 0, &bytes);
        let mut header = Vec::new();
        header.extend(b"EFI PART\0\0\x01\0\x5c\0\0\0\0\0\0\0\0\0\0\0");
        for lba in [own, other, 2 + taken, self.last() - taken - 1] {
            header.extend(lba.to_le_bytes());
        }
        header.extend(gpt.disk);
        header.extend(table.to_le_bytes());
        header.extend(gpt.count.to_le_bytes());
        header.extend(gpt.entry_size.to_le_bytes());
        header.extend(crc32fast::hash(&bytes).to_le_bytes());
        self.poke(own, 0, &header);
        self.seal(own);
    }

    /// Writes one entry of the boot record at `lba`, and its 55 AA.
    pub(crate) fn mbr_entry(
        &mut self,
        lba: u64,
        slot: usize,
        flag: u8,
        kind: u8,
        start: u32,
        size: u32,
    ) {
        let at = 446 + 16 * slot;
        self.poke(lba, at, &[flag, 0, 2, 0, kind, 0, 0, 0]);
        self.poke(lba, at + 8, &start.to_le_bytes());
        self.poke(lba, at + 12, &size.to_le_bytes());
        self.poke(lba, 510, &[0x55, 0xaa]);
    }

    pub(crate) fn media(&self) -> Media {
        Media::new(self.sectors * u64::from(self.sector_size), self.sector_size).expect("sizes")
    }

    /// Meets a need, after checking that it is one a core could meet.
    pub(crate) fn meet(&self, media: &mut Media, need: Need) {
        let size = u64::from(self.sector_size);
        assert!(need.length > 0 && need.length <= BUDGET, "{need:?}");
        assert!(
            need.offset.is_multiple_of(size) && need.length.is_multiple_of(size),
            "{need:?}"
        );
        assert!(need.offset + need.length <= self.sectors * size, "{need:?}");
        let lbas = need.offset / size..(need.offset + need.length) / size;
        if lbas.clone().any(|lba| self.bad.contains(&lba)) {
            media.supply_error(need);
        } else {
            let bytes: Vec<u8> = lbas.flat_map(|lba| self.sector(lba)).collect();
            media.supply(need.offset, &bytes).expect("sectors");
        }
        assert!(media.held() <= BUDGET);
    }

    pub(crate) fn run<T>(&self, step: impl Fn(&Media) -> Result<T, Need>) -> (T, Vec<Need>) {
        let mut media = self.media();
        let mut needs = Vec::new();
        loop {
            match step(&media) {
                Ok(value) => return (value, needs),
                Err(need) => {
                    self.meet(&mut media, need);
                    needs.push(need);
                }
            }
            assert!(needs.len() < 10_000, "the parser does not end");
        }
    }

    pub(crate) fn parse_within(&self, within: Option<Scheme>) -> Option<Table> {
        self.run(|media| parse(media, within)).0
    }

    pub(crate) fn parse(&self) -> Option<Table> {
        self.parse_within(None)
    }

    pub(crate) fn table(&self) -> Table {
        self.parse().expect("a table")
    }
}

impl Gpt {
    pub(crate) fn new(partitions: &[(u64, u64, &str)]) -> Self {
        let entry = |(n, (first, last, label)): (usize, &(u64, u64, &str))| {
            let mut bytes = Vec::from(LINUX);
            bytes.extend([n as u8 + 1; 16]);
            for number in [*first, *last, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(label.encode_utf16().flat_map(u16::to_le_bytes));
            bytes.resize(128, 0);
            bytes
        };
        let entries = partitions.iter().enumerate().map(entry).collect();
        Self {
            entries,
            count: 128,
            entry_size: 128,
            disk: [0xd1; 16],
        }
    }
}

/// The lines the console would show.
pub(crate) fn lines(table: &Table) -> Vec<String> {
    table.reasons().iter().map(ToString::to_string).collect()
}

/// Index, first and last sector of each partition.
pub(crate) fn places(disk: &Disk, table: &Table) -> Vec<(u32, u64, u64)> {
    let size = u64::from(disk.sector_size);
    let place = |p: &geom::class::part::table::Partition| {
        assert!(p.start.is_multiple_of(size) && p.length.is_multiple_of(size));
        (p.index, p.start / size, p.end() / size - 1)
    };
    table.partitions().iter().map(place).collect()
}
