//! The C memory functions that compiled Rust calls.
//!
//! They are assembly, not loops in Rust, which the compiler may turn into calls to themselves.
//! Short lengths use overlapping moves; long ones `rep movsq` and `rep stosq`, which are fast on
//! hardware and one instruction per eight bytes under emulation; copies of whole blocks wide
//! registers ([`vector`]), where there are any.
#![expect(unsafe_code, reason = "naked functions that compiled code calls")]

use core::arch::naked_asm;

use crate::vector;

/// Copies `n` bytes from `source` to `destination`, which must not overlap; returns `destination`.
///
/// Up to 64 bytes all are read before any is written; more go forward, each before what is written
/// could reach it where the destination lies before the source, as `memmove` has it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(destination: *mut u8, source: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "cmp rdx, 16",
        "jb 3f",
        "cmp rdx, 32",
        "ja 2f",
        // 16..=32 bytes: the first 16 and the last 16.
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        "2:",
        "cmp rdx, 64",
        "ja 5f",
        // 33..=64 bytes: the first 32 and the last 32.
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + rdx - 32]",
        "movups xmm3, [rsi + rdx - 16]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + rdx - 32], xmm2",
        "movups [rdi + rdx - 16], xmm3",
        "ret",
        "5:",
        // More: whole words, then the last 8 bytes, which were read before.
        "mov r8, [rsi + rdx - 8]",
        "lea r9, [rdi + rdx - 8]",
        "cmp rdx, {block}",
        "jae 8f",
        "9:",
        "lea rcx, [rdx - 1]",
        "shr rcx, 3",
        "rep movsq",
        "mov [r9], r8",
        "ret",
        "8:",
        "cmp byte ptr [rip + {on}], 0",
        "je 9b",
        // Blocks, which leave r8 and r9 as they are; then the rest as above, if the last 8 bytes
        // are not all of it.
        "mov rcx, rdx",
        "shr rdx, {block_bits}",
        "call {copy_blocks}",
        "mov rdx, rcx",
        "and edx, {block} - 1",
        "cmp edx, 8",
        "ja 9b",
        "mov [r9], r8",
        "ret",
        "3:",
        "cmp edx, 8",
        "jb 4f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "4:",
        "cmp edx, 4",
        "jb 6f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        "6:",
        "test edx, edx",
        "je 7f",
        // 1..=3 bytes: the first, the middle, the last.
        "movzx ecx, byte ptr [rsi]",
        "mov r8d, edx",
        "shr r8d, 1",
        "movzx r9d, byte ptr [rsi + r8]",
        "movzx r10d, byte ptr [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r8], r9b",
        "mov [rdi + rdx - 1], r10b",
        "7:",
        "ret",
        block = const vector::BLOCK,
        block_bits = const vector::BLOCK.trailing_zeros(),
        on = sym vector::ON,
        copy_blocks = sym vector::copy_blocks,
    )
}

/// Copies `n` bytes from `source` to `destination`, which may overlap; returns `destination`.
///
/// `memcpy` is right for all but a destination inside the source's tail, which needs the other
/// direction.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memmove(destination: *mut u8, source: *const u8, n: usize) -> *mut u8 {
    naked_asm!(
        "cmp rdx, 64",
        "jbe {memcpy}",
        "mov rcx, rdi",
        "sub rcx, rsi",
        "cmp rcx, rdx",
        "jae {memcpy}",
        "mov rax, rdi",
        // Backward: words from the end, then the first 8 bytes, which were read before.
        "mov r8, [rsi]",
        "mov r9, rdi",
        "lea rcx, [rdx - 1]",
        "shr rcx, 3",
        "lea rsi, [rsi + rdx - 8]",
        "lea rdi, [rdi + rdx - 8]",
        "std",
        "rep movsq",
        "cld",
        "mov [r9], r8",
        "ret",
        memcpy = sym memcpy,
    )
}

/// Fills `n` bytes with the low byte of `value`; returns `destination`.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(destination: *mut u8, value: i32, n: usize) -> *mut u8 {
    naked_asm!(
        "mov r9, rdi",
        "movzx eax, sil",
        "mov rcx, 0x0101010101010101",
        "imul rax, rcx",
        "cmp rdx, 8",
        "jb 2f",
        "lea r8, [rdi + rdx - 8]",
        "lea rcx, [rdx - 1]",
        "shr rcx, 3",
        "rep stosq",
        "mov [r8], rax",
        "mov rax, r9",
        "ret",
        "2:",
        "mov rcx, rdx",
        "rep stosb",
        "mov rax, r9",
        "ret",
    )
}

/// Compares `n` bytes: negative, 0 or positive as the first difference is.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!(
        "2:",
        "cmp rdx, 8",
        "jb 3f",
        "mov rax, [rdi]",
        "mov rcx, [rsi]",
        "cmp rax, rcx",
        "jne 5f",
        "add rdi, 8",
        "add rsi, 8",
        "sub rdx, 8",
        "jmp 2b",
        "3:",
        "test rdx, rdx",
        "je 4f",
        "movzx eax, byte ptr [rdi]",
        "movzx ecx, byte ptr [rsi]",
        "sub eax, ecx",
        "jne 6f",
        "inc rdi",
        "inc rsi",
        "dec rdx",
        "jmp 3b",
        "4:",
        "xor eax, eax",
        "ret",
        "5:",
        // The first byte in memory is the most significant one of the comparison.
        "bswap rax",
        "bswap rcx",
        "cmp rax, rcx",
        "sbb eax, eax",
        "or eax, 1",
        "6:",
        "ret",
    )
}

/// Compares `n` bytes: 0 if they are equal.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}

/// The length of a string that ends with a NUL.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    naked_asm!(
        "mov rax, rdi",
        "2:",
        "cmp byte ptr [rax], 0",
        "je 3f",
        "inc rax",
        "jmp 2b",
        "3:",
        "sub rax, rdi",
        "ret",
    )
}
