//! Source lines for the addresses in an epitaph.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use addr2line::Context as Lines;
use addr2line::gimli::{self, EndianSlice, LittleEndian};
use anyhow::{Context, Result, bail};

use super::build;
use super::elf::Elf;
use super::names::short;
use crate::project;

/// Bytes of a section of the debug file.
type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// `cargo xtask symbolize LOG`: prints the backtraces in the log, and below each line where it is.
pub(crate) fn command(log: &Path) -> Result<()> {
    let log_bytes =
        fs::read(log).with_context(|| format!("cannot read the log {}", log.display()))?;
    let text = of_image(&String::from_utf8_lossy(&log_bytes))?;
    if text.is_empty() {
        bail!(
            "{} holds no backtrace through this image's code: is it the log of another build?",
            log.display()
        );
    }
    print!("{text}");
    Ok(())
}

/// What the log of a domain that ran the image says, as [`command`] prints it.
pub(crate) fn of_image(log: &str) -> Result<String> {
    let debug = build::paths().debug;
    let bytes = fs::read(&debug)
        .with_context(|| format!("cannot read {}: run `cargo xtask build`", debug.display()))?;
    symbolize(&bytes, log)
}

/// The lines of the log's epitaphs that hold code addresses, each with its places; and of what Xen
/// says of a domain that it ends. The form of an epitaph is described in
/// `kernel/machine/src/epitaph.rs`, that of Xen's words in `kernel/machine/src/stack.rs`.
fn symbolize(debug: &[u8], log: &str) -> Result<String> {
    let elf = Elf::parse(debug)?;
    let lines = lines(&elf)?;
    let mut text = String::new();
    let mut faulting = None;
    for line in log.lines().map(str::trim) {
        if line.starts_with("cause:") {
            faulting = None;
            writeln!(text, "{line}")?;
        }
        if let Some(address) = behind(line, "RIP:", "[<").filter(|address| elf.is_code(*address)) {
            writeln!(text, "{line}")?;
            for place in places(&elf, &lines, address)? {
                writeln!(text, "        {place}")?;
            }
        }
        if behind(line, "Guest stack trace", "rsp=").is_some_and(|rsp| is_guard(&elf, rsp)) {
            writeln!(text, "{line}")?;
            writeln!(text, "        the page below the stack: it has overflowed")?;
        }
        let is_rip = line.starts_with("rip:");
        if !is_rip && !line.starts_with('#') {
            continue;
        }
        let address = addresses(line).into_iter().next();
        let Some(address) = address.filter(|address| elf.is_code(*address)) else {
            continue;
        };
        if is_rip {
            faulting = Some(address);
            continue;
        }
        // A return address is one behind its call, which may be its function's last instruction.
        // Only the faulting instruction's address is the instruction's own.
        let back = u64::from(faulting != Some(address));
        writeln!(text, "{line}")?;
        for place in places(&elf, &lines, address - back)? {
            writeln!(text, "        {place}")?;
        }
    }
    Ok(text)
}

/// The hexadecimal number behind `mark` in a line of Xen's log about `what`.
fn behind(line: &str, what: &str, mark: &str) -> Option<u64> {
    let (_, rest) = line.split_once(what)?;
    let (_, number) = rest.split_once(mark)?;
    let end = number.find(|c: char| !c.is_ascii_hexdigit());
    u64::from_str_radix(&number[..end.unwrap_or(number.len())], 16).ok()
}

/// Whether an address lies in the page below the stack.
fn is_guard(elf: &Elf, address: u64) -> bool {
    let mut symbols = elf.symbols.iter();
    let guard = symbols.find(|symbol| symbol.name == "xenolith_stack_guard_low");
    guard.is_some_and(|guard| (guard.address..guard.address + 4096).contains(&address))
}

/// Numbers written `0x...` in a line.
fn addresses(line: &str) -> Vec<u64> {
    line.split("0x")
        .skip(1)
        .filter_map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(rest.len());
            u64::from_str_radix(&rest[..end], 16).ok()
        })
        .collect()
}

fn lines(elf: &Elf) -> Result<Lines<Slice<'_>>> {
    let dwarf = gimli::Dwarf::load(|id| -> Result<Slice<'_>, gimli::Error> {
        let data = elf
            .section(id.name())
            .map_or(&[][..], |section| &section.data);
        Ok(EndianSlice::new(data, LittleEndian))
    })?;
    Lines::from_dwarf(dwarf).context("the debug file has no usable line tables")
}

/// Where an address is: the innermost inlined function first, `function  file:line` each.
fn places(elf: &Elf, lines: &Lines<Slice<'_>>, address: u64) -> Result<Vec<String>> {
    let mut frames = lines.find_frames(address).skip_all_loads()?;
    let mut places = Vec::new();
    while let Some(frame) = frames.next()? {
        let mangled = match &frame.function {
            Some(function) => function.raw_name()?.into_owned(),
            None => symbol(elf, address).unwrap_or_else(|| "?".to_owned()),
        };
        let place = frame.location.map_or_else(String::new, |location| {
            let line = location
                .line
                .map_or_else(String::new, |line| format!(":{line}"));
            let file = location.file.unwrap_or("?");
            let root = project::root();
            let inside = root.to_str().and_then(|root| file.strip_prefix(root));
            let file = inside.map_or(file, |inside| inside.trim_start_matches('/'));
            format!("  {file}{line}")
        });
        places.push(format!("{}{place}", short(&mangled)));
    }
    if places.is_empty() {
        places.extend(symbol(elf, address).map(|name| short(&name)));
    }
    Ok(places)
}

/// The function whose symbol comes last before an address.
fn symbol(elf: &Elf, address: u64) -> Option<String> {
    let symbols = elf.code_symbols();
    let after = symbols.partition_point(|symbol| symbol.address <= address);
    Some(symbols.get(after.checked_sub(1)?)?.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::elf::Symbol;

    #[test]
    fn addresses_are_read_out_of_a_line() {
        let line = "  #1 0xffffffff80001234 geom::taste+0x12, called";
        assert_eq!(addresses(line), [0xffff_ffff_8000_1234, 0x12]);
        assert_eq!(addresses("0x 0xzz 0x11112222333344445"), Vec::<u64>::new());
    }

    #[test]
    fn xens_words_on_a_domain_that_it_ends_are_read() {
        let rip = "(XEN) RIP:    e033:[<ffffffff8000c07b>]";
        assert_eq!(behind(rip, "RIP:", "[<"), Some(0xffff_ffff_8000_c07b));
        let rsp = "(XEN) Guest stack trace from rsp=ffffffff80044e30:";
        let rsp = behind(rsp, "Guest stack trace", "rsp=").unwrap();
        assert_eq!(rsp, 0xffff_ffff_8004_4e30);
        let mut elf = Elf::default();
        assert!(!is_guard(&elf, rsp));
        elf.symbols.push(Symbol {
            name: "xenolith_stack_guard_low".to_owned(),
            address: 0xffff_ffff_8004_4000,
            ..Default::default()
        });
        assert!(is_guard(&elf, rsp) && !is_guard(&elf, rsp + 4096));
    }

    /// This test program is itself an ELF file with line tables, though it runs elsewhere than it
    /// was linked to.
    #[test]
    fn an_address_becomes_function_file_and_line() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::parse(&own).unwrap();
        let wanted = "addresses_are_read_out_of_a_line";
        let function = elf
            .code_symbols()
            .into_iter()
            .find(|symbol| short(&symbol.name).ends_with(wanted))
            .expect("the function has a symbol");
        let next = function.address + 1;
        let log = format!(
            "text\r\n--- xenolith epitaph ---\r\ncause: panic\r\nrip: {0:#018x}\r\n\
             #0 {0:#018x} f+0x0\r\n#1 {next:#x} f+0x1\r\n#2 0x10 nowhere\r\n",
            function.address
        );
        let text = symbolize(&own, &log).unwrap();
        assert!(text.starts_with("cause: panic\n#0 0x"), "{text}");
        let place = |line: &&str| line.contains(wanted) && line.contains("symbolize.rs:");
        assert_eq!(text.lines().filter(place).count(), 2, "{text}");
        assert!(!text.contains("nowhere"), "{text}");
        let log = format!("(XEN) RIP:    e033:[<{:016x}>]\r\n", function.address);
        let text = symbolize(&own, &log).unwrap();
        assert!(text.starts_with("(XEN) RIP:"), "{text}");
        assert_eq!(text.lines().filter(place).count(), 1, "{text}");
    }
}
