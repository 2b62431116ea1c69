//! libFuzzer around the harnesses; which one is the name in `XENOLITH_HARNESS`.
#![no_main]

use std::sync::LazyLock;

static HARNESS: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("XENOLITH_HARNESS").unwrap_or_default();
    let known = fuzz::HARNESSES.iter().find(|(known, _)| *known == name);
    let names: Vec<&str> = fuzz::HARNESSES.iter().map(|(known, _)| *known).collect();
    known
        .unwrap_or_else(|| panic!("XENOLITH_HARNESS is one of {}", names.join(", ")))
        .1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| HARNESS(data));
