//! The finished file: an ELF header, the program headers and their bytes; nothing else. So no
//! binutils are needed, and a fresh file has nothing in it that was not put there.

use super::elf::{Elf, HEADER_SIZE, PROGRAM_HEADER_SIZE, PT_LOAD, Segment};

const PAGE: usize = 4096;

/// The file that loads what `elf` loads, without sections and symbols.
pub(crate) fn write(elf: &Elf) -> Vec<u8> {
    let table_end = HEADER_SIZE + elf.segments.len() * PROGRAM_HEADER_SIZE;
    let offsets = offsets(&elf.segments, table_end);
    let mut file = header(elf);
    for (segment, offset) in elf.segments.iter().zip(&offsets) {
        file.extend(program_header(segment, *offset));
    }
    for (segment, offset) in elf.segments.iter().zip(offsets) {
        let end = offset + segment.data.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset..end].copy_from_slice(&segment.data);
    }
    file
}

/// Where each segment's bytes go. Loaded ones keep their place in a page, as loaders want; others
/// lie inside a loaded one.
fn offsets(segments: &[Segment], start: usize) -> Vec<usize> {
    let mut next = start;
    let mut loaded = Vec::new();
    for segment in segments.iter().filter(|segment| segment.kind == PT_LOAD) {
        let in_page = usize::try_from(segment.address % PAGE as u64).unwrap_or(0);
        let offset = next.saturating_sub(in_page).next_multiple_of(PAGE) + in_page;
        next = offset + segment.data.len();
        loaded.push((segment, offset));
    }
    let mut place = |segment: &Segment| {
        let inside = loaded.iter().find_map(|(outer, offset)| {
            let at = usize::try_from(segment.address.checked_sub(outer.address)?).ok()?;
            let end = at.checked_add(segment.data.len())?;
            (end <= outer.data.len()).then_some(offset + at)
        });
        inside.unwrap_or_else(|| {
            let offset = next;
            next += segment.data.len();
            offset
        })
    };
    segments.iter().map(&mut place).collect()
}

/// `Elf64_Ehdr` of a little-endian System V file without sections.
fn header(elf: &Elf) -> Vec<u8> {
    let count = u16::try_from(elf.segments.len()).unwrap_or(u16::MAX);
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(elf.kind.to_le_bytes());
    bytes.extend(elf.machine.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(elf.entry.to_le_bytes());
    bytes.extend((HEADER_SIZE as u64).to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    for half in [
        HEADER_SIZE as u16,
        PROGRAM_HEADER_SIZE as u16,
        count,
        64,
        0,
        0,
    ] {
        bytes.extend(half.to_le_bytes());
    }
    bytes
}

/// `Elf64_Phdr`.
fn program_header(segment: &Segment, offset: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PROGRAM_HEADER_SIZE);
    bytes.extend(segment.kind.to_le_bytes());
    bytes.extend(segment.flags.to_le_bytes());
    for word in [
        offset as u64,
        segment.address,
        segment.physical,
        segment.data.len() as u64,
        segment.memory_size,
        segment.align,
    ] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::elf::PT_NOTE;
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let load = Segment {
            kind: PT_LOAD,
            flags: 5,
            address: 0xffff_ffff_8000_0010,
            physical: 0x10,
            memory_size: 0x3000,
            align: 4096,
            data: (0..=255).cycle().take(5000).collect(),
        };
        let note = Segment {
            kind: PT_NOTE,
            address: load.address + 100,
            data: load.data[100..200].to_vec(),
            memory_size: 100,
            align: 4,
            ..load.clone()
        };
        let second = Segment {
            address: load.address + 0x4000,
            ..load.clone()
        };
        let elf = Elf {
            kind: 2,
            machine: 62,
            entry: load.address,
            segments: vec![load, second, note],
            ..Elf::default()
        };
        let bytes = write(&elf);
        let again = Elf::parse(&bytes).unwrap();
        assert_eq!(again.segments, elf.segments);
        assert_eq!((again.kind, again.machine, again.entry), (2, 62, elf.entry));
        assert!(again.sections.is_empty() && again.symbols.is_empty());
        assert_eq!(
            bytes.len(),
            0x3010 + 5000,
            "the note lies inside its segment"
        );
    }
}
