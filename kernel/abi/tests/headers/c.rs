//! Compiling and running a few C statements with Xen's headers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What every program starts with.
const INCLUDES: &str = r#"
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/elfnote.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/pciif.h>
#include <xen/io/protocols.h>
#include <xen/io/ring.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
"#;

/// The names that blkif.h defines. It is read a second time under other names, with 64-bit words
/// aligned to 4 bytes: that is the layout of 32-bit x86 compilers.
const BLKIF_NAMES: [&str; 16] = [
    "blkif_request_segment",
    "blkif_request",
    "blkif_request_t",
    "blkif_request_discard",
    "blkif_request_discard_t",
    "blkif_request_indirect",
    "blkif_request_indirect_t",
    "blkif_response",
    "blkif_response_t",
    "blkif_sring",
    "blkif_sring_t",
    "blkif_sring_entry",
    "blkif_front_ring",
    "blkif_front_ring_t",
    "blkif_back_ring",
    "blkif_back_ring_t",
];

const MAIN: &str = r#"
#define number(n) ((n) < 0 ? printf("%lld\n", (long long)(n)) : \
    printf("%llu\n", (unsigned long long)(n)))
static void dump(const void *at, size_t size) {
    for (size_t i = 0; i < size; i++) printf("%u ", ((const unsigned char *)at)[i]);
}
int main(void) {
"#;

/// The second reading of blkif.h.
fn blkif_32() -> String {
    let rename = |name: &&str| format!("#define {name} {}\n", name.replace("blkif", "blkif32"));
    let forget = |name: &&str| format!("#undef {name}\n");
    let before: String = BLKIF_NAMES.iter().map(rename).collect();
    let after: String = BLKIF_NAMES.iter().map(forget).collect();
    format!(
        "#pragma pack(push, 4)\n#undef __XEN_PUBLIC_IO_BLKIF_H__\n{before}\
         #include <xen/io/blkif.h>\n{after}#pragma pack(pop)\n"
    )
}

/// What the statements print.
pub(crate) fn run(statements: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    assert!(
        Path::new("/usr/include/xen/xen.h").exists(),
        "Xen's headers are missing: install Debian's package libxen-dev"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let stem = format!("headers-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let source = folder.join(format!("{stem}.c"));
    let program = folder.join(&stem);
    fs::write(
        &source,
        format!("{INCLUDES}{}{MAIN}{statements}\nreturn 0; }}\n", blkif_32()),
    )
    .expect("the folder is writable");
    let compiled = Command::new("cc")
        .arg(&source)
        .arg("-w")
        .arg("-o")
        .arg(&program)
        .output();
    let compiled = compiled.expect("a C compiler: install Debian's package gcc");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    let output = Command::new(&program).output().expect("the program runs");
    String::from_utf8(output.stdout).expect("it prints digits")
}
