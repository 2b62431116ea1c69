//! When segments are acknowledged, and what is made of an acknowledgement.

use std::time::Duration;

use embedded_io_async::Write;
use smoltcp::wire::TcpControl;

use super::peer::{Peer, Said};
use super::world::{Host, World};

/// Less than an acknowledgement may wait for another packet.
const SHORT: Duration = Duration::from_millis(1);
const WAIT: Duration = Duration::from_millis(20);

fn end(said: &Said) -> i32 {
    said.sequence + i32::try_from(said.length).unwrap()
}

fn host(world: &World) -> Host {
    let host = world.host(1, &["10.0.0.1/24"], 64);
    world.run_for(Duration::from_secs(1));
    host
}

#[test]
fn what_was_put_together_on_its_way_is_acknowledged_at_once_and_one_packet_is_not() {
    let world = World::new();
    let host = host(&world);
    let mut listener = host.net.listen(7).unwrap();
    world.exec.spawn("accept", async move {
        let _stream = listener.accept().await;
        core::future::pending::<()>().await;
    });
    let peer = Peer::new(&world, &host);
    let greeting = peer.connect(&world, 4000);
    let next = greeting.sequence.wrapping_add(1);
    world.run_for(SHORT);
    peer.hear();
    let acknowledged = || {
        let said = peer.hear();
        said.last().map(|said| said.acknowledged)
    };
    peer.say(4000, TcpControl::None, 1, Some(next), &[1; 1000]);
    world.run_for(SHORT);
    assert_eq!(acknowledged(), None);
    world.run_for(WAIT);
    assert_eq!(acknowledged(), Some(1001));
    peer.say(4000, TcpControl::None, 1001, Some(next), &[1; 4000]);
    world.run_for(SHORT);
    assert_eq!(acknowledged(), Some(5001));
    peer.say(4000, TcpControl::None, 5001, Some(next), &[1; 1000]);
    world.run_for(SHORT);
    assert_eq!(acknowledged(), None);
    world.run_for(WAIT);
    assert_eq!(acknowledged(), Some(6001));
}

#[test]
fn what_may_be_on_its_way_grows_by_the_bytes_that_are_acknowledged() {
    let world = World::new();
    let host = host(&world);
    let mut listener = host.net.listen(7).unwrap();
    world.exec.spawn("give", async move {
        let (mut stream, _) = listener.accept().await;
        let _cut_short = stream.write_all(&vec![1; 1 << 20]).await;
    });
    let peer = Peer::new(&world, &host);
    let greeting = peer.connect(&world, 4000);
    let mut next = greeting.sequence.wrapping_add(1);
    let mut flights = Vec::new();
    for _ in 0..8 {
        world.run_for(SHORT);
        let last = peer.hear().iter().map(end).max().unwrap();
        flights.push(last - next);
        next = last;
        peer.say(4000, TcpControl::None, 1, Some(next), &[]);
    }
    // A segment is of 1,460 bytes: each time twice as much, or by eight of them.
    for pair in flights.windows(2) {
        let least = (pair[0] * 2 - 1460).min(pair[0] + 8 * 1460);
        assert!((least..=pair[0] * 2).contains(&pair[1]), "{flights:?}");
    }
    assert!(flights.iter().all(|flight| *flight < 64_000), "{flights:?}");
}
