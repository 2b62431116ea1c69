//! What ended a domain once, or cost it its memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::{Read, Write};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Address, Ipv6Packet,
    Ipv6Repr, MldRepr, TcpControl,
};

use super::frames::{ethernet, serves, syn, victim};
use super::peer::Peer;
use super::world::{World, scramble};

const SECOND: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(1);

#[test]
fn n16_a_query_for_a_unicast_address_is_refused() {
    let world = World::new();
    let host = victim(&world);
    let own = host.net.interfaces()[0].addresses[0].address();
    let smoltcp::wire::IpAddress::Ipv6(own) = own else {
        panic!("{own} is not link-local");
    };
    let repr = Icmpv6Repr::Mld(MldRepr::Query {
        max_resp_code: 0,
        mcast_addr: own,
        s_flag: false,
        qrv: 0,
        qqic: 0,
        num_srcs: 0,
        data: &[],
    });
    let ip = Ipv6Repr {
        src_addr: "fe80::77".parse().unwrap(),
        dst_addr: own,
        next_header: IpProtocol::Icmpv6,
        payload_len: repr.buffer_len(),
        hop_limit: 1,
    };
    let length = ip.buffer_len() + repr.buffer_len();
    let mut bytes = ethernet(host.mac(), EthernetProtocol::Ipv6, length);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    repr.emit(
        &ip.src_addr,
        &own,
        &mut Icmpv6Packet::new_unchecked(packet.payload_mut()),
        &ChecksumCapabilities::default(),
    );
    let refused = host.net.interfaces()[0].traffic.refused;
    host.port.deliver(bytes.clone());
    // The same behind options.
    bytes[18..21].copy_from_slice(&[0, u8::try_from(length - 40 + 8).unwrap(), 0]);
    bytes.splice(54..54, [58, 0, 5, 2, 0, 0, 1, 0]);
    host.port.deliver(bytes);
    world.run_for(SECOND);
    assert_eq!(host.net.interfaces()[0].traffic.refused, refused + 2);
    serves(&world);
}

#[test]
fn n17_a_peer_that_fills_the_greetings_window_at_once_fills_the_buffer() {
    for (mib, scale) in [(16, Some(7)), (64, Some(7)), (512, Some(7)), (512, None)] {
        let world = World::new();
        let host = world.host(1, &["10.0.0.1/24"], mib);
        let _listener = host.net.listen(7).unwrap();
        let mut peer = Peer::new(&world, &host);
        peer.scale = scale;
        let greeting = peer.connect(&world, 4000);
        let next = greeting.sequence.wrapping_add(1);
        // All before it is told of another window.
        for place in 0..20 {
            peer.say(
                4000,
                TcpControl::None,
                1 + place * 60_000,
                Some(next),
                &[3; 60_000],
            );
        }
        world.run_for(SECOND);
        let socket = host
            .net
            .sockets()
            .into_iter()
            .find(|socket| socket.remote.is_some());
        let socket = socket.unwrap();
        let taken = socket.receive_queue;
        assert!(taken > 0 && taken <= socket.memory / 2, "{taken}");
        let last = peer.hear().pop().unwrap();
        assert_eq!(last.acknowledged, 1 + i32::try_from(taken).unwrap());
    }
}

#[test]
fn n18_greetings_that_are_taken_back_leave_nothing_that_waits() {
    let world = World::new();
    let host = world.host(1, &["10.0.0.1/24"], 64);
    let _listener = host.net.listen(7).unwrap();
    world.run_for(TURN);
    for number in 0..1000_u16 {
        let last = u8::try_from(number % 200).unwrap() + 20;
        let from = (Ipv4Address::new(10, 0, 0, last), 1000 + number);
        let frame = syn(host.mac(), from, (Ipv4Address::new(10, 0, 0, 1), 7));
        host.port.deliver(frame.clone());
        world.run_for(TURN);
        assert_eq!(host.net.connections().count, 1);
        assert!(host.net.waiting() <= 1);
        // A reset takes it back.
        let mut reset = frame;
        reset[47] = 4;
        reset[41] += 1;
        super::frames::mend(&mut reset);
        host.port.deliver(reset);
        world.run_for(TURN);
        assert_eq!((host.net.connections().count, host.net.waiting()), (0, 0));
    }
}

/// Everything that a peer may send is taken: it goes as far as the furthest that it was told of.
#[test]
fn n19_what_a_peer_was_once_told_it_may_send_is_taken() {
    for mib in [8, 16, 64] {
        let world = World::new();
        let host = world.host(1, &["10.0.0.1/24"], mib);
        let mut listener = host.net.listen(7).unwrap();
        let chance = Rc::new(Cell::new(mib as u64));
        let (read, exec) = (Rc::new(Cell::new(0)), world.exec.clone());
        let (count, random) = (read.clone(), chance.clone());
        world.exec.spawn("reader", async move {
            let (mut stream, _) = listener.accept().await;
            let mut bytes = [0; 3000];
            loop {
                let most = 1 + (scramble(&random) % 2999) as usize;
                let Ok(some @ 1..) = stream.read(&mut bytes[..most]).await else {
                    return;
                };
                count.set(count.get() + some);
                exec.sleep(Duration::from_micros(scramble(&random) % 300))
                    .await;
            }
        });
        let peer = Peer::new(&world, &host);
        let greeting = peer.connect(&world, 4000);
        let next = greeting.sequence.wrapping_add(1);
        let scale = greeting.scale.unwrap();
        let (mut edge, mut sent) = (1 + i32::try_from(greeting.window).unwrap(), 1);
        let mut rounds = 0;
        while read.get() < 3 << 20 {
            let most = 1 + (scramble(&chance) % 9000) as i32;
            let length = most.min(edge - sent);
            let bytes = vec![1; usize::try_from(length).unwrap()];
            if length > 0 {
                peer.say(4000, TcpControl::None, sent, Some(next), &bytes);
                sent += length;
            }
            world.run_for(Duration::from_micros(scramble(&chance) % 300));
            for said in peer.hear() {
                let to = said.acknowledged + i32::try_from(said.window << scale).unwrap();
                edge = edge.max(to);
            }
            rounds += 1;
            assert!(rounds < 200_000, "{mib}: stuck at {sent} of {edge}");
        }
        world.run_for(SECOND * 2);
        assert_eq!(i32::try_from(read.get()).unwrap(), sent - 1);
    }
}

#[test]
fn n24_an_acknowledgement_stands_behind_all_that_was_sent() {
    let world = World::new();
    let host = world.host(1, &["10.0.0.1/24"], 64);
    let mut listener = host.net.listen(7).unwrap();
    world.exec.spawn("writer", async move {
        let (mut stream, _) = listener.accept().await;
        stream.write_all(&[1; 60_000]).await.unwrap();
        std::future::pending::<()>().await;
    });
    let peer = Peer::new(&world, &host);
    let greeting = peer.connect(&world, 4000);
    let mut next = greeting.sequence.wrapping_add(1);
    let first = next;
    // Some is acknowledged, so that more is sent at a time.
    for _ in 0..4 {
        world.run_for(TURN);
        let last = peer
            .hear()
            .into_iter()
            .rfind(|said| said.length > 0)
            .unwrap();
        next = last.sequence + i32::try_from(last.length).unwrap();
        peer.say(4000, TcpControl::None, 1, Some(next), &[]);
    }
    world.run_for(TURN);
    // And then nothing: it sends again.
    world.run_for(SECOND * 5);
    let said = peer.hear();
    let end = |said: &super::peer::Said| said.sequence + i32::try_from(said.length).unwrap();
    let highest = said.iter().map(end).max().unwrap();
    assert!(highest - next > 4000, "{first} {next} {highest}");
    let again = said.last().unwrap();
    assert!(end(again) < highest, "{again:?}");
    peer.say(4000, TcpControl::None, 1, Some(next), b"more");
    // It waits a little for something to say with it.
    world.run_for(TURN * 15);
    let said = peer.hear();
    let pure = said
        .iter()
        .find(|said| said.length == 0)
        .expect("it acknowledges");
    assert_eq!((pure.acknowledged, pure.sequence), (5, highest));
}
