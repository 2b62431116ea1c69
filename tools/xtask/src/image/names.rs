//! The table of function names, put into the room that boot's entry code leaves for it.

use anyhow::{Context, Result, bail};
use symbols::Function;

use super::elf::{Elf, PT_LOAD};

/// The section that is room for the table.
const ROOM: &str = ".xenolith.names";
/// Longer names are cut, in bytes.
const LONGEST: usize = 100;

/// Makes the table of `elf`'s functions and writes it into `file`, the bytes `elf` was parsed from.
/// Returns how many functions it names.
pub(crate) fn fill(elf: &Elf, file: &mut [u8]) -> Result<usize> {
    let functions: Vec<(u64, String)> = elf
        .code_symbols()
        .into_iter()
        .map(|symbol| (symbol.address, short(&symbol.name)))
        .collect();
    let borrowed: Vec<Function<'_>> = functions
        .iter()
        .map(|(address, name)| Function {
            address: *address,
            name,
        })
        .collect();
    let end = elf
        .segments_of(PT_LOAD)
        .filter(|segment| elf.is_code(segment.address))
        .map(|segment| segment.address + segment.memory_size)
        .max()
        .context("the image has no instructions")?;
    let table = symbols::encode(&borrowed, end).context("function names do not fit a table")?;
    let room = elf
        .section(ROOM)
        .with_context(|| format!("the image has no section {ROOM}"))?;
    if table.len() > room.data.len() {
        bail!(
            "the function names take {} bytes, but {ROOM} has room for {}: enlarge it in \
             boot/src/entry.rs",
            table.len(),
            room.data.len()
        );
    }
    let offset = usize::try_from(room.offset)?;
    file.get_mut(offset..offset + table.len())
        .with_context(|| format!("{ROOM} lies outside the file"))?
        .copy_from_slice(&table);
    Ok(functions.len())
}

/// A name as a backtrace shall print it: demangled, without hash and generic arguments, cut.
pub(crate) fn short(mangled: &str) -> String {
    let demangled = format!("{:#}", rustc_demangle::demangle(mangled));
    let mut name = without_generics(&demangled);
    if name.len() > LONGEST {
        let cut = (0..=LONGEST)
            .rev()
            .find(|at| name.is_char_boundary(*at))
            .unwrap_or(0);
        name.truncate(cut);
    }
    name
}

/// Drops `::<...>` and the `<...>` after a type's name. `<T as Trait>::f` and `<T>::f` keep their
/// brackets: these say whose function it is.
fn without_generics(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    let mut depth = 0_usize;
    let mut previous = ' ';
    for character in name.chars() {
        match character {
            '<' if depth > 0 || previous.is_alphanumeric() || matches!(previous, '_' | ':') => {
                depth += 1;
            }
            // `->` in a function type closes nothing.
            '>' if depth > 0 && previous != '-' => depth -= 1,
            _ if depth == 0 => kept.push(character),
            _ => {}
        }
        previous = character;
    }
    kept.replace("::::", "::").trim_end_matches("::").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::elf::{Section, Segment, Symbol};
    use super::*;

    #[test]
    fn generic_arguments_are_dropped_but_not_whose_function_it_is() {
        for (long, brief) in [
            (
                "core::ptr::drop_in_place::<alloc::vec::Vec<u8>>",
                "core::ptr::drop_in_place",
            ),
            (
                "<geom::Disk<H> as core::fmt::Debug>::fmt",
                "<geom::Disk as core::fmt::Debug>::fmt",
            ),
            (
                "app::start::<fn(u8) -> Vec<u8>>::{closure#0}",
                "app::start::{closure#0}",
            ),
            ("memcpy", "memcpy"),
        ] {
            assert_eq!(without_generics(long), brief);
        }
    }

    #[test]
    fn a_mangled_name_is_demangled_without_its_hash() {
        assert_eq!(short("_ZN4geom5taste17h0123456789abcdefE"), "geom::taste");
        assert_eq!(short("_start"), "_start");
        assert_eq!(short(&"x".repeat(500)).len(), LONGEST);
    }

    fn image(room: usize) -> (Elf, Vec<u8>) {
        let symbol = |name: &str, address| Symbol {
            name: name.to_owned(),
            address,
            size: 8,
            kind: super::super::elf::STT_FUNC,
        };
        let text = Segment {
            kind: PT_LOAD,
            flags: 5,
            address: 0x1000,
            memory_size: 0x100,
            ..Segment::default()
        };
        let section = Section {
            name: ROOM.to_owned(),
            offset: 16,
            data: vec![0; room],
            ..Section::default()
        };
        let elf = Elf {
            segments: vec![text],
            sections: vec![section],
            symbols: vec![symbol("_start", 0x1000), symbol("elsewhere", 0x9000)],
            ..Elf::default()
        };
        (elf, vec![0; room + 32])
    }

    #[test]
    fn the_table_is_written_into_its_room() {
        let (elf, mut file) = image(200);
        assert_eq!(
            fill(&elf, &mut file).unwrap(),
            1,
            "data symbols are no functions"
        );
        let table = symbols::Table::new(&file[16..216]).unwrap();
        assert_eq!(table.lookup(0x1004), Some(("_start", 4)));
        assert_eq!(file[..16], [0; 16]);
    }

    #[test]
    fn a_table_too_large_for_its_room_is_refused() {
        let (elf, mut file) = image(20);
        let error = fill(&elf, &mut file).unwrap_err().to_string();
        assert!(error.contains("enlarge it in boot/src/entry.rs"), "{error}");
        assert_eq!(file, [0; 52], "nothing is written");
    }
}
