//! xen-sys gives types and constants; its functions are wrong for x86-64 (they keep values in the
//! red zone across a call, and pass shutdown's argument by value). All of them call through a
//! symbol named `HYPERCALL_PAGE`, so also an inlined one would show.

use super::super::names::short;
use super::Finished;

/// Functions that xen-sys exports unmangled.
const EXPORTED: [&str; 6] = [
    "HYPERCALL_PAGE",
    "hypercall_1",
    "hypercall_2",
    "hypercall_3",
    "hypercall_4",
    "hypercall_5",
];

pub(super) fn problems(finished: &Finished) -> Vec<String> {
    if finished.linked.symbols.is_empty() {
        return vec!["the debug file has no symbols to look at".to_owned()];
    }
    finished
        .linked
        .symbols
        .iter()
        .filter(|symbol| {
            EXPORTED.contains(&symbol.name.as_str()) || short(&symbol.name).contains("xen_sys::")
        })
        .map(|symbol| format!("{} is linked", short(&symbol.name)))
        .collect()
}
