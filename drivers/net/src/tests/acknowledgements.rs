//! When segments are acknowledged.

use std::time::Duration;

use smoltcp::wire::TcpControl;

use super::peer::Peer;
use super::world::{Host, World};

/// Less than an acknowledgement may wait for another packet.
const SHORT: Duration = Duration::from_millis(1);
const WAIT: Duration = Duration::from_millis(20);

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
