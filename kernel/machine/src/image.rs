//! Where the parts of the image lie: the symbols of `boot/link.ld`.
#![expect(unsafe_code, reason = "the link script's symbols are declared here")]

use core::ops::Range;

use symbols::Table;

/// Where the domain builder maps pseudo-physical frame 0 (the image's `VIRT_BASE` note).
pub(crate) const BASE: u64 = 0xffff_ffff_8000_0000;

// SAFETY: the link script defines each of them; their addresses are taken, never their values.
unsafe extern "C" {
    static xenolith_text_start: u8;
    static xenolith_text_end: u8;
    static xenolith_rodata_start: u8;
    static xenolith_rodata_end: u8;
    static xenolith_names_start: u8;
    static xenolith_names_end: u8;
    static xenolith_stack_guard_low: u8;
    static xenolith_stack_start: u8;
    static xenolith_stack_end: u8;
}

fn address(symbol: *const u8) -> u64 {
    symbol.expose_provenance() as u64
}

/// Instructions.
pub(crate) fn text() -> Range<u64> {
    address(&raw const xenolith_text_start)..address(&raw const xenolith_text_end)
}

/// Constants: whole pages.
pub(crate) fn rodata() -> Range<u64> {
    address(&raw const xenolith_rodata_start)..address(&raw const xenolith_rodata_end)
}

/// The stack, without its guard pages.
pub(crate) fn stack() -> Range<u64> {
    address(&raw const xenolith_stack_start)..address(&raw const xenolith_stack_end)
}

/// The pages below and above the stack.
pub(crate) fn guards() -> [u64; 2] {
    [address(&raw const xenolith_stack_guard_low), stack().end]
}

/// The table of function names, if `cargo xtask build` has put one in.
pub(crate) fn names() -> Option<Table<'static>> {
    let start = &raw const xenolith_names_start;
    let length = (&raw const xenolith_names_end).addr() - start.addr();
    // SAFETY: the link script reserves these bytes, and nothing writes them.
    let table = unsafe { core::slice::from_raw_parts(start, length) };
    Table::new(table)
}
