//! The server and the client of `streams`, on this host.

use dom0::streams::{ask, serve};
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::Duration;

#[test]
fn what_is_sent_is_counted_both_ways() {
    // An address of this process's own: its ports are fixed.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, 77, high, low);
    thread::spawn(move || serve::run(own));
    thread::sleep(Duration::from_millis(300));
    let here = IpAddr::V4(own);
    ask::send(here, 3_000_001).unwrap();
    ask::receive(here, 3_000_001).unwrap();
    for _ in 0..2 {
        let (sent, counted, time) = ask::udp(here, 1400, 1000, Duration::from_millis(200)).unwrap();
        assert_eq!((sent, counted), (200, 200));
        assert!(time >= Duration::from_millis(190), "{time:?}");
    }
    assert!(ask::udp(here, 8, 1000, Duration::from_millis(1)).is_err());
}
