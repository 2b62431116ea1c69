//! Every harness over its corpus and over seeded inputs; one line for each.

use fuzz::replay::replay;

#[test]
fn gpt() {
    replay("gpt");
}

#[test]
fn mbr() {
    replay("mbr");
}

#[test]
fn xenstore_message() {
    replay("xenstore_message");
}

#[test]
fn http_request() {
    replay("http_request");
}

#[test]
fn numbers() {
    replay("numbers");
}

#[test]
fn response_ring() {
    replay("response_ring");
}

#[test]
fn command_line() {
    replay("command_line");
}

#[test]
fn nbd_options() {
    replay("nbd_options");
}

#[test]
fn nbd_requests() {
    replay("nbd_requests");
}

#[test]
fn network_frames() {
    replay("network_frames");
}

#[test]
fn dns_answers() {
    replay("dns_answers");
}

#[test]
fn every_corpus_has_a_harness_and_a_test() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"));
    let folders = folders.expect("the corpus").flatten();
    let mut folders: Vec<String> = folders
        .filter_map(|folder| folder.file_name().into_string().ok())
        .collect();
    folders.sort();
    let harnesses: Vec<&str> = fuzz::HARNESSES.iter().map(|(name, _)| *name).collect();
    assert_eq!(folders, harnesses);
    let tests = include_str!("replay.rs");
    assert!(
        harnesses
            .iter()
            .all(|name| tests.contains(&format!("replay(\"{name}\")")))
    );
}
