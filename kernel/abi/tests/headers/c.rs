//! Compiling and running a few C statements with Xen's headers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

const PROLOGUE: &str = r#"
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
#include <xen/sched.h>
#include <xen/version.h>
#include <xen/io/blkif.h>
#include <xen/io/console.h>
#include <xen/io/protocols.h>
#include <xen/io/ring.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
#define number(n) ((n) < 0 ? printf("%lld\n", (long long)(n)) : \
    printf("%llu\n", (unsigned long long)(n)))
static void dump(const void *at, size_t size) {
    for (size_t i = 0; i < size; i++) printf("%u ", ((const unsigned char *)at)[i]);
}
int main(void) {
"#;

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
    fs::write(&source, format!("{PROLOGUE}{statements}\nreturn 0; }}\n"))
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
