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

#[test]
fn xenstore_message() {
    replay("xenstore_message", fuzz::xenstore_message::xenstore_message);
}

#[test]
fn numbers() {
    replay("numbers", fuzz::numbers::numbers);
}

#[test]
fn response_ring() {
    replay("response_ring", fuzz::response_ring::response_ring);
}

#[test]
fn command_line() {
    replay("command_line", fuzz::command_line::command_line);
}
