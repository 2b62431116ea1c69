use std::time::Duration;

use super::*;
use crate::model::Model;

/// The driver domain 5 has died, and 8 is there; the notes of what it served.
fn crashed() -> (Model, Notes) {
    let mut host = Model::with_driver(5);
    host.client(7, "guest");
    host.attached(5, 7, 51712, "xvda", "xbd0p1");
    host.attached(5, 7, 51728, "xvdb", "md0,ro");
    host.attached(5, 0, 51792, "xvdf", "md1");
    let notes = Notes::take(&mut host, 5, "storage").unwrap();
    host.dies(5);
    host.driver(8);
    (host, notes)
}

fn all_are_back(host: &Model, by: u32) -> bool {
    let disks = [(7, 51712), (7, 51728), (0, 51792)];
    let mut states = disks.iter().map(|(c, d)| host.state(by, *c, *d));
    states.all(|state| state.as_deref() == Some("4"))
}

fn words(host: &Model, command: &str) -> usize {
    host.calls.iter().filter(|call| call[0] == command).count()
}

#[test]
fn every_disk_is_attached_again() {
    let (mut host, notes) = crashed();
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert!(all_are_back(&host, 8), "{:?}", host.said);
    assert_eq!(words(&host, "block-detach"), 3);
    let disk = "format=raw,vdev=xvdb,access=rw,backend=storage,target=md0,ro";
    assert!(
        host.calls
            .iter()
            .any(|call| call[..] == ["block-attach", "7", disk])
    );
    assert!(
        host.said
            .contains(&"guest (7) xvda is back, served by storage (8)".to_owned())
    );
}

#[test]
fn what_is_back_stays_as_it_is() {
    let (mut host, notes) = crashed();
    assert!(restore(&mut host, &notes, "storage").unwrap());
    let (calls, passed) = (host.calls.len(), host.passed);
    assert!(restore(&mut host, &notes, "8").unwrap());
    assert_eq!((host.calls.len(), host.passed), (calls, passed));
    // The domain dies twice, and the notes are of before.
    host.dies(8);
    host.driver(9);
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert!(all_are_back(&host, 9));
}

#[test]
fn between_detaching_and_attaching_a_client_has_time_to_look() {
    let (mut host, notes) = crashed();
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert_eq!(host.passed, SETTLE);
    let first = host.calls.iter().position(|call| call[0] == "block-attach");
    assert_eq!(first, Some(3), "all are detached first");
}

#[test]
fn a_client_that_vanished_is_said_and_skipped() {
    let (mut host, notes) = crashed();
    host.dies(7);
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert_eq!(host.calls.len(), 2, "{:?}", host.calls);
    let skipped = host.said.iter().filter(|line| line.contains("is skipped"));
    assert_eq!(skipped.count(), 2, "{:?}", host.said);
}

#[test]
fn a_client_that_vanishes_meanwhile_is_skipped_too() {
    let (mut host, notes) = crashed();
    host.vanishes.insert(7);
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert_eq!(host.state(8, 0, 51792).as_deref(), Some("4"));
    assert_eq!(words(&host, "block-attach"), 1);
}

#[test]
fn another_domain_with_the_number_of_a_client_gets_nothing() {
    let (mut host, notes) = crashed();
    host.dies(7);
    host.client(7, "another");
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert!(
        host.calls
            .iter()
            .all(|call| !call.contains(&"7".to_owned()))
    );
}

#[test]
fn a_client_that_does_not_connect_is_tried_again_and_told_of() {
    let (mut host, notes) = crashed();
    host.deaf.insert(0);
    assert!(!restore(&mut host, &notes, "storage").unwrap());
    assert_eq!(host.state(8, 7, 51712).as_deref(), Some("4"), "others are");
    assert!(host.passed < Duration::from_secs(120), "{:?}", host.passed);
    let told = host.said.iter().find(|line| line.starts_with("Domain-0"));
    assert!(told.unwrap().contains("NOT CONNECTED (state 2"), "{told:?}");
    host.deaf.clear();
    assert!(restore(&mut host, &notes, "storage").is_ok_and(|all| all));
}

#[test]
fn a_client_that_overlooked_its_device_gets_it_in_another_round() {
    let (mut host, notes) = crashed();
    host.overlooks.insert(0);
    assert!(
        restore(&mut host, &notes, "storage").unwrap(),
        "{:?}",
        host.said
    );
    assert!(all_are_back(&host, 8));
}

#[test]
fn a_former_domain_that_does_nothing_any_more_is_left_by_force() {
    let mut host = Model::with_driver(5);
    host.client(7, "guest");
    host.attached(5, 7, 51712, "xvda", "md0");
    let notes = Notes::take(&mut host, 5, "storage").unwrap();
    // Crashed, with on_crash = "preserve"; another one is there beside it.
    host.stuck.insert(5);
    host.driver(8);
    assert!(restore(&mut host, &notes, "8").unwrap(), "{:?}", host.said);
    assert_eq!(host.calls[1], ["block-detach", "--force", "7", "51712"]);
    assert_eq!(host.state(8, 7, 51712).as_deref(), Some("4"));
}

#[test]
fn what_is_refused_is_told_with_its_reason() {
    let (mut host, notes) = crashed();
    host.refused_target = Some("md1".to_owned());
    assert!(!restore(&mut host, &notes, "storage").unwrap());
    let told = host.said.iter().find(|line| line.starts_with("Domain-0"));
    assert!(
        told.unwrap()
            .ends_with("IS REFUSED by storage: no such provider"),
        "{told:?}"
    );
}

#[test]
fn what_another_domain_serves_by_now_is_left_alone() {
    let (mut host, notes) = crashed();
    host.client(9, "other");
    host.attached(9, 0, 51792, "xvdf", "md1");
    assert!(!restore(&mut host, &notes, "storage").unwrap());
    assert_eq!(host.state(9, 0, 51792).as_deref(), Some("4"));
    assert!(host.calls.iter().all(|call| call[1] != "0"));
}

#[test]
fn without_a_domain_to_attach_to_nothing_is_done() {
    let (mut host, notes) = crashed();
    host.dies(8);
    let error = restore(&mut host, &notes, "storage")
        .unwrap_err()
        .to_string();
    assert!(error.contains("--to"), "{error}");
    assert!(host.calls.is_empty());
}

#[test]
fn a_name_that_xl_could_mistake_is_told_by_number() {
    for name in ["a,target=/dev/sda", "a b", "12", "größe"] {
        let (mut host, notes) = crashed();
        host.set("/local/domain/8/name", Some(name));
        assert!(restore(&mut host, &notes, "8").unwrap());
        let attach = host.calls.iter().find(|call| call[0] == "block-attach");
        assert!(attach.unwrap()[2].contains(",backend=8,"), "{name}");
    }
}

#[test]
fn what_is_said_is_one_line_whatever_names_are() {
    let (mut host, notes) = crashed();
    host.set("/local/domain/7/name", Some("a\nb\u{1b}[31m"));
    assert!(restore(&mut host, &notes, "storage").unwrap());
    assert!(
        host.said
            .iter()
            .all(|line| !line.contains(char::is_control))
    );
}

#[test]
fn where_nothing_is_left_it_is_told_how_disks_stand_and_nothing_is_done() {
    let (mut host, notes) = crashed();
    assert!(restore(&mut host, &notes, "storage").unwrap());
    let calls = host.calls.len();
    assert!(report(&mut host, "storage").unwrap());
    // It is on its way to its end, and not gone yet: no success is told.
    host.set("/local/domain/8/backend/vbd/7/51712/state", Some("5"));
    assert!(!report(&mut host, "storage").unwrap());
    assert_eq!(host.calls.len(), calls);
    host.dies(8);
    assert!(report(&mut host, "storage").is_err());
}

#[test]
fn a_domain_that_is_replaced_meanwhile_is_found_by_its_name() {
    let (mut host, notes) = crashed();
    assert!(restore(&mut host, &notes, "storage").unwrap());
    host.set("/local/domain/8/backend/vbd/7/51712/state", Some("5"));
    let notes = Notes::take(&mut host, 8, "storage").unwrap();
    host.replaced_after = Some((Duration::from_secs(10), 8));
    assert!(
        restore(&mut host, &notes, "storage").unwrap(),
        "{:?}",
        host.said
    );
    assert!(all_are_back(&host, 9));
}
