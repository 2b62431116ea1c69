use super::super::keys::Change;
use super::place::{Awaited, Flood};
use super::*;
use std::time::Duration;

fn parse(line: &str) -> Order {
    Order::parse(line).unwrap()
}

#[test]
fn orders_about_xenstore_are_read() {
    let place = |line| match parse(line) {
        Order::Place(place) => place,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        place("publish ring-ref=1 -queue-1"),
        Place::Publish(vec![
            Change::Set("ring-ref".into(), "1".into()),
            Change::Remove("queue-1".into())
        ])
    );
    assert_eq!(
        place("wait 2,gone 300"),
        Place::Wait(
            vec![Awaited::State(2), Awaited::Gone],
            Duration::from_millis(300)
        )
    );
    assert_eq!(
        place("set hotplug-error no such = disk"),
        Place::Set("hotplug-error".into(), "no such = disk".into())
    );
    assert_eq!(
        place("set state"),
        Place::Set("state".into(), String::new())
    );
    assert_eq!(place("state 9"), Place::Set("state".into(), "9".into()));
    assert_eq!(
        place("flood state 1,,4 10000"),
        Place::Flood(Flood {
            key: "state".into(),
            values: vec!["1".into(), String::new(), "4".into()],
            times: 10000,
            pause: Duration::ZERO
        })
    );
    assert_eq!(
        place("detach silent"),
        Place::Detach {
            silent: true,
            limit: Duration::from_secs(10)
        }
    );
}

#[test]
fn orders_about_pages_and_rings_are_read() {
    let revoke = Order::Memory(Memory::Revoke(memory::Target::Ring(1)));
    assert_eq!(parse("revoke ring queue=1"), revoke);
    let jump = Order::Traffic(Traffic::Jump { queue: 0, by: -33 });
    assert_eq!(parse("jump -33"), jump);
    let take = |count, limit| {
        let limit = Duration::from_millis(limit);
        Order::Traffic(Traffic::Take { count, limit })
    };
    assert_eq!(parse("take"), take(None, 5000));
    assert_eq!(parse("take all 20"), take(None, 20));
    assert_eq!(parse("take 3 20"), take(Some(3), 20));
    let Order::Traffic(Traffic::Work(job)) = parse("work 7 discard count=100 indirect=64") else {
        panic!("it is work");
    };
    assert_eq!((job.seed, job.count, job.indirect), (7, Some(100), 64));
    assert!(job.discards && !job.reads_only);
}

#[test]
fn what_is_no_order_is_refused() {
    for line in [
        "",
        "Attach",
        "attach now",
        "publish ring-ref",
        "wait",
        "wait Closed",
        "set",
        "flood state",
        "fill p0 1",
        "revoke",
        "revoke g8",
        "submit 1",
        "storm -1",
        "prod 4294967296",
        "renew abi=16",
        "work",
        "send",
    ] {
        assert!(Order::parse(line).is_err(), "{line:?}");
    }
}
