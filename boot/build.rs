//! Links every image by our own script, and refuses flags it would not work with.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if !flags
        .split('\x1f')
        .any(|flag| flag.ends_with("no-redzone=yes"))
    {
        println!(
            "cargo::error=the image must be compiled with -Cno-redzone=yes, since Xen pushes \
             exception frames right below the stack pointer: use `cargo xtask build`"
        );
        return;
    }
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        "-nostdlib",
        "-nostartfiles",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,noexecstack",
        &format!("-Wl,-T,{here}/link.ld"),
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
        println!("cargo::rustc-link-arg-examples={argument}");
    }
}
