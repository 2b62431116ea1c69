//! Every harness over its corpus and over seeded inputs; one line for each.

use fuzz::replay::replay;

#[test]
fn gpt() {
    replay("gpt", fuzz::gpt::gpt);
}

#[test]
fn mbr() {
    replay("mbr", fuzz::mbr::mbr);
}
