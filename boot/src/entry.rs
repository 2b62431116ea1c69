//! What Xen's domain builder reads (the ELF notes), and the first instructions.
#![expect(unsafe_code, reason = "the notes and first instructions are assembly")]

use core::arch::global_asm;

use xen_abi::elfnote;

// The notes, named and numbered as in elfnote.h. There is no hypercall page: hypercalls are inline
// `syscall` instructions (XSA-466 advises against the page).
//
// SAFETY: these are data in their own section, which the link script keeps; no code refers to them.
global_asm!(
    ".macro xen_note type, directive, value:vararg",
    "  .pushsection .note.Xen, \"a\", @note",
    "  .balign 4",
    "  .long 4, 7772f - 7771f, \\type",
    "  .asciz \"Xen\"",
    "7771: \\directive \\value",
    "7772: .balign 4",
    "  .popsection",
    ".endm",
    "xen_note {guest_os}, .asciz, \"Xenolith\"",
    "xen_note {loader}, .asciz, \"generic\"",
    "xen_note {xen_version}, .asciz, \"xen-3.0\"",
    "xen_note {virt_base}, .quad, VIRT_BASE",
    "xen_note {paddr_offset}, .quad, 0",
    "xen_note {entry}, .quad, _start",
    "xen_note {features}, .asciz, \"pae_pgdir_above_4gb\"",
    "xen_note {suspend_cancel}, .long, 1",
    guest_os = const elfnote::GUEST_OS,
    loader = const elfnote::LOADER,
    xen_version = const elfnote::XEN_VERSION,
    virt_base = const elfnote::VIRT_BASE,
    paddr_offset = const elfnote::PADDR_OFFSET,
    entry = const elfnote::ENTRY,
    features = const elfnote::FEATURES,
    suspend_cancel = const elfnote::SUSPEND_CANCEL,
);

// Room for the table of function names, which `cargo xtask build` writes into the linked file.
//
// SAFETY: constants in their own section; `machine` reads them between the script's symbols.
global_asm!(
    ".pushsection .xenolith.names, \"a\", @progbits",
    ".zero 128 * 1024",
    ".popsection",
);

// The first instructions. Xen enters with rsi = start_info's address, events masked, and a stack of
// one page. Ours is filled with a pattern (the high-water mark counts what is left of it), then
// called with a frame that ends every backtrace.
//
// SAFETY: the stack lies between the link script's symbols and nobody else knows it yet; rdi, rax
// and rcx carry nothing here. `xenolith_start` does not return.
global_asm!(
    ".pushsection .text._start, \"ax\", @progbits",
    ".global _start",
    "_start:",
    "  cld",
    "  lea rdi, [rip + xenolith_stack_start]",
    "  lea rcx, [rip + xenolith_stack_end]",
    "  mov rbx, rsp",
    "  mov rsp, rcx",
    "  sub rcx, rdi",
    "  shr rcx, 3",
    "  mov rax, {pattern}",
    "  rep stosq",
    "  rdtsc",
    "  shl rdx, 32",
    "  or rax, rdx",
    "  mov rdi, rsi",
    "  mov rsi, rbx",
    "  mov rdx, rax",
    "  xor ebp, ebp",
    "  call {start}",
    "  ud2",
    ".popsection",
    pattern = const machine::stack::PATTERN,
    start = sym xenolith_start,
);

// What precompiled core and alloc refer to for unwinding, which cannot happen here (panic=abort).
// Weak, because rustc may bring its own one day (rust-lang/rust#106864).
//
// SAFETY: nothing calls them; if something did, `ud2` ends the domain with an epitaph.
global_asm!(
    ".pushsection .text.unwind_stubs, \"ax\", @progbits",
    ".weak rust_eh_personality",
    "rust_eh_personality:",
    ".weak _Unwind_Resume",
    "_Unwind_Resume:",
    "  ud2",
    ".popsection",
);

/// Where Rust begins: the address of start_info, the top of the builder's stack, and the time stamp
/// counter at entry.
extern "C" fn xenolith_start(start_info: usize, builder_stack: usize, tsc: u64) -> ! {
    // SAFETY: called once, by the first instructions, with what Xen passed.
    let xen = unsafe { machine::start(start_info, builder_stack, tsc) };
    xenolith_image(&xen)
}

// SAFETY: `image!` defines it, with this signature; without it nothing links.
unsafe extern "Rust" {
    /// What the image runs.
    safe fn xenolith_image(xen: &machine::Xen) -> !;
}

/// Makes a function of the hypervisor, which never returns, what the image runs.
#[macro_export]
macro_rules! image {
    ($run:path) => {
        #[unsafe(no_mangle)]
        fn xenolith_image(xen: &$crate::Xen) -> ! {
            $run(xen)
        }
    };
}
