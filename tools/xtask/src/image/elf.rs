//! An ELF64 file as plain values: what the checks look at, and what the finished file is made of.

use anyhow::{Context, Result, bail};
use object::LittleEndian as LE;
use object::elf::{FileHeader64, ProgramHeader64};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _, SectionHeader as _};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolSection};

/// A file that was parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elf {
    /// `e_type`: 2 is EXEC.
    pub kind: u16,
    /// `e_machine`: 62 is x86-64.
    pub machine: u16,
    /// `e_entry`: where it starts.
    pub entry: u64,
    /// What is loaded, and what describes it.
    pub segments: Vec<Segment>,
    /// What the linker made; none in a stripped file.
    pub sections: Vec<Section>,
    /// Names of addresses; none in a stripped file.
    pub symbols: Vec<Symbol>,
}

/// A program header and the bytes it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Segment {
    /// `p_type`.
    pub kind: u32,
    /// `p_flags`: 1 execute, 2 write, 4 read.
    pub flags: u32,
    /// `p_vaddr`.
    pub address: u64,
    /// `p_paddr`.
    pub physical: u64,
    /// `p_memsz`: what is not in the file is zero.
    pub memory_size: u64,
    /// `p_align`.
    pub align: u64,
    /// The bytes in the file.
    pub data: Vec<u8>,
}

/// A section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its name.
    pub name: String,
    /// `sh_type`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u64,
    /// Where it lies in the file.
    pub offset: u64,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// A symbol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// Its name, mangled.
    pub name: String,
    /// Its address.
    pub address: u64,
    /// Its size; 0 for a label in assembly.
    pub size: u64,
    /// `STT_*`.
    pub kind: u8,
}

/// A loaded segment.
pub(crate) const PT_LOAD: u32 = 1;
/// A segment of notes.
pub(crate) const PT_NOTE: u32 = 4;
/// A function.
pub(crate) const STT_FUNC: u8 = 2;
/// A label in assembly.
pub(crate) const STT_NOTYPE: u8 = 0;
/// `p_flags`: instructions.
pub(crate) const PF_X: u32 = 1;

impl Elf {
    /// Takes a file apart.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let file = ElfFile64::<LE>::parse(bytes).context("not a little-endian ELF64 file")?;
        let header = file.elf_header();
        Ok(Self {
            kind: header.e_type(LE).0,
            machine: header.e_machine(LE).0,
            entry: header.e_entry(LE),
            segments: segments(&file, bytes)?,
            sections: sections(&file)?,
            symbols: symbols(&file)?,
        })
    }

    /// The section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Segments of this kind.
    pub(crate) fn segments_of(&self, kind: u32) -> impl Iterator<Item = &Segment> {
        self.segments
            .iter()
            .filter(move |segment| segment.kind == kind)
    }

    /// Functions and labels in executable segments, sorted by address; each reaches to the next.
    pub(crate) fn code_symbols(&self) -> Vec<&Symbol> {
        let mut found: Vec<&Symbol> = self
            .symbols
            .iter()
            .filter(|symbol| matches!(symbol.kind, STT_FUNC | STT_NOTYPE))
            .filter(|symbol| self.is_code(symbol.address) && !symbol.name.is_empty())
            .collect();
        found.sort_by_key(|symbol| (symbol.address, symbol.kind != STT_FUNC));
        found.dedup_by_key(|symbol| symbol.address);
        found
    }

    /// Whether instructions are loaded at this address.
    pub(crate) fn is_code(&self, address: u64) -> bool {
        self.segments_of(PT_LOAD).any(|segment| {
            segment.flags & PF_X != 0
                && address
                    .checked_sub(segment.address)
                    .is_some_and(|offset| offset < segment.memory_size)
        })
    }
}

fn segments(file: &ElfFile64<'_, LE>, bytes: &[u8]) -> Result<Vec<Segment>> {
    file.elf_program_headers()
        .iter()
        .map(|header| segment(header, bytes))
        .collect()
}

fn segment(header: &ProgramHeader64<LE>, bytes: &[u8]) -> Result<Segment> {
    let Ok(data) = header.data(LE, bytes) else {
        bail!(
            "a program header of type {} points outside the file",
            header.p_type(LE).0
        );
    };
    Ok(Segment {
        kind: header.p_type(LE).0,
        flags: header.p_flags(LE).0,
        address: header.p_vaddr(LE),
        physical: header.p_paddr(LE),
        memory_size: header.p_memsz(LE),
        align: header.p_align(LE),
        data: data.to_vec(),
    })
}

fn sections(file: &ElfFile64<'_, LE>) -> Result<Vec<Section>> {
    file.sections()
        .map(|section| {
            let header = section.elf_section_header();
            Ok(Section {
                name: section.name()?.to_owned(),
                kind: header.sh_type(LE).0,
                flags: header.sh_flags(LE).0,
                offset: section.file_range().map_or(0, |(offset, _)| offset),
                data: section.data()?.to_vec(),
            })
        })
        .collect()
}

fn symbols(file: &ElfFile64<'_, LE>) -> Result<Vec<Symbol>> {
    // Absolute symbols are a script's constants; some happen to equal an address.
    file.symbols()
        .filter(|symbol| symbol.section() != SymbolSection::Absolute)
        .map(|symbol| {
            Ok(Symbol {
                name: symbol.name()?.to_owned(),
                address: symbol.address(),
                size: symbol.size(),
                kind: symbol.elf_symbol().st_info.0 & 0xf,
            })
        })
        .collect()
}

/// Bytes of an ELF64 header.
pub(crate) const HEADER_SIZE: usize = size_of::<FileHeader64<LE>>();
/// Bytes of a program header.
pub(crate) const PROGRAM_HEADER_SIZE: usize = size_of::<ProgramHeader64<LE>>();
