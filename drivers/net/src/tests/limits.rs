//! How much peers may have.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::{Read, Write};
use smoltcp::wire::{Ipv4Address, Ipv4Packet};

use super::frames::{syn, udp};
use super::tcp::{at, echo};
use super::world::World;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn n06_a_flood_of_greetings_takes_few_places_and_honest_peers_still_come_in() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 64);
    world
        .exec
        .spawn("echo", echo(server.net.listen(7).unwrap()));
    world.run_for(SECOND);
    for port in 1..5000 {
        let from = (Ipv4Address::new(10, 0, 0, 99), port);
        server
            .port
            .deliver(syn(server.mac(), from, (Ipv4Address::new(10, 0, 0, 1), 7)));
    }
    world.run_for(Duration::from_millis(100));
    let flooded = server.net.connections();
    assert!(flooded.count <= 256, "half of the backlog: {flooded:?}");
    assert!(flooded.memory < 16 << 20, "{flooded:?}");
    assert!(flooded.overflows > 4000, "{flooded:?}");
    let net = client.net.clone();
    let answered = world.run(SECOND * 2, async move {
        let mut stream = net.connect(at(1, 7)).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut [0]).await.is_ok()
    });
    assert_eq!(answered, Some(true));
    world.run_for(SECOND * 30);
    assert_eq!(server.net.connections().count, 0, "they are forgotten");
}

#[test]
fn n21_who_has_not_proved_to_be_there_makes_room_for_others() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 64);
    world
        .exec
        .spawn("echo", echo(server.net.listen(7).unwrap()));
    world.run_for(SECOND);
    // Nobody of them has it all.
    for port in 1..4000 {
        let last = 20 + u8::try_from(port % 200).unwrap();
        let from = (Ipv4Address::new(10, 0, 0, last), port);
        let to = (Ipv4Address::new(10, 0, 0, 1), 7);
        server.port.deliver(syn(server.mac(), from, to));
    }
    world.run_for(Duration::from_millis(100));
    assert_eq!(server.net.connections().count, 512);
    let net = client.net.clone();
    let connected = world.run(SECOND * 9, async move {
        net.connect(at(1, 7)).await.map(|_| ())
    });
    assert_eq!(connected, Some(Ok(())));
    assert!(server.net.connections().count <= 513);
}

#[test]
fn a_burst_as_long_as_a_turn_takes_waits_for_its_reader() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let mut socket = server.net.udp(9).unwrap();
    world.run_for(SECOND);
    let from = (Ipv4Address::new(10, 0, 0, 99), 4000);
    let to = (Ipv4Address::new(10, 0, 0, 1), 9);
    for _ in 0..128 {
        server
            .port
            .deliver(udp(server.mac(), from, to, &[0x5a; 1400]));
    }
    world.run_for(Duration::from_millis(100));
    let counted = world.run(SECOND, async move {
        for _ in 0..128 {
            assert_eq!(socket.receive(&mut [0; 1500]).await.0, 1400);
        }
    });
    assert!(counted.is_some(), "some are lost");
}

#[test]
fn n22_a_wire_that_never_has_room_again_ends_what_is_on_it() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let _listener = server.net.listen(7).unwrap();
    let (net, other) = (server.net.clone(), world.host(2, &["10.0.0.2/24"], 64));
    let connected = other.net.clone();
    let mut udp = server.net.udp(9).unwrap();
    let mut stream = world.run(SECOND * 9, async move {
        connected.connect(at(1, 7)).await.unwrap()
    });
    for port in 1..=50 {
        let from = (Ipv4Address::new(10, 0, 0, 99), port);
        let to = (Ipv4Address::new(10, 0, 0, 1), 7);
        server.port.deliver(syn(server.mac(), from, to));
    }
    world.run_for(Duration::from_millis(10));
    assert_eq!(net.connections().count, 51);
    server.port.set_room(Some(0));
    world.run_for(SECOND * 30);
    assert_eq!(net.connections().count, 1, "greetings are over");
    world.run_for(SECOND * 90);
    assert_eq!(net.connections().count, 0, "silence is an end");
    // And it goes on as soon as there is room.
    server.port.set_room(None);
    let said = world.run(SECOND * 9, async move {
        udp.send(b"x", at(2, 9)).await.unwrap();
        drop(stream.take());
        udp
    });
    assert!(said.is_some());
    let pinged = world.run(SECOND * 9, async move {
        let mut ping = other
            .net
            .ping(smoltcp::wire::IpAddress::v4(10, 0, 0, 1))
            .unwrap();
        ping.echo(8, SECOND).await.map(|_| ())
    });
    assert_eq!(pinged, Some(Ok(())));
}

#[test]
fn a_thousand_connections_at_a_time_all_get_an_answer() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 512);
    let mut listener = server.net.listen(7).unwrap();
    let exec = world.exec.clone();
    world.exec.spawn("server", async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            exec.spawn("client", async move {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    stream.write_all(&bytes[..count]).await.unwrap();
                }
            });
        }
    });
    world.run_for(SECOND);
    let (net, exec) = (client.net.clone(), world.exec.clone());
    let all = world.run(MINUTE * 10, async move {
        let mut streams = Vec::new();
        for number in 0..1000_u32 {
            let stream = net.connect(at(1, 7)).await;
            streams.push(stream.unwrap_or_else(|error| panic!("{number}: {error}")));
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&number.to_be_bytes()).await.unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, number.to_be_bytes());
        }
        exec.yield_now().await;
        streams
    });
    let all = all.unwrap();
    let connections = server.net.connections();
    assert_eq!(connections.count, 1000);
    assert!(connections.memory <= 32 << 20, "{connections:?}");
    drop(all);
    world.run_for(MINUTE);
    assert_eq!(server.net.connections().count, 0);
    assert_eq!(client.net.connections().count, 0);
}

#[test]
fn n07_one_peer_has_at_most_half_of_all_places() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 8);
    let greedy = world.host(2, &["10.0.0.2/24"], 512);
    let other = world.host(3, &["10.0.0.3/24"], 512);
    let mut listener = server.net.listen(7).unwrap();
    world.exec.spawn("server", async move {
        let mut streams = Vec::new();
        loop {
            streams.push(listener.accept().await);
        }
    });
    world.run_for(SECOND);
    let limit = server.net.connections().limit;
    let net = greedy.net.clone();
    let exec = world.exec.clone();
    let held = world.run(MINUTE * 60, async move {
        let mut streams = Vec::new();
        for _ in 0..limit {
            let connected = exec.timeout(SECOND * 5, net.connect(at(1, 7))).await;
            streams.extend(connected.ok().and_then(Result::ok));
        }
        streams
    });
    let held = held.unwrap();
    assert_eq!(held.len(), limit / 2);
    let net = other.net.clone();
    let connected = world.run(
        SECOND,
        async move { net.connect(at(1, 7)).await.map(|_| ()) },
    );
    assert_eq!(connected, Some(Ok(())));
}

#[test]
fn n08_a_peer_that_takes_nothing_or_is_gone_is_given_up() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 64);
    let mut listener = server.net.listen(7).unwrap();
    world.exec.spawn("server", async move {
        loop {
            // More than the peer's buffer takes, and nobody waits for it.
            let (mut stream, _) = listener.accept().await;
            let mut left = 600_000;
            while left > 0 {
                match stream.write(&[1; 10_000]).await {
                    Ok(count) => left -= count.min(left),
                    Err(_) => break,
                }
            }
        }
    });
    let net = client.net.clone();
    let silent = world.run(MINUTE, async move { net.connect(at(1, 7)).await.unwrap() });
    world.run_for(SECOND);
    // It answers but does not read: that is its right, as long as somebody has the connection.
    assert_eq!(server.net.connections().count, 1);
    client.port.set_carrier(false);
    world.run_for(MINUTE * 3);
    assert_eq!(server.net.connections().count, 0, "it is gone");
    let read = world.run(MINUTE, async move {
        let mut stream = silent.unwrap();
        let mut bytes = vec![0; 1 << 20];
        while let Ok(1..) = stream.read(&mut bytes).await {}
        stream.read(&mut bytes).await
    });
    assert_eq!(read, Some(Err(crate::NetError::Reset)));
}

#[test]
fn an_idle_connection_outlives_a_day_on_a_line_that_loses_frames() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 64);
    let mut listener = server.net.listen(7).unwrap();
    let accepted = world.exec.clone();
    world.exec.spawn("server", async move {
        let (mut stream, _) = listener.accept().await;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        stream.write_all(&byte).await.unwrap();
        accepted.sleep(MINUTE).await;
    });
    let net = client.net.clone();
    let stream = world.run(MINUTE, async move { net.connect(at(1, 7)).await.unwrap() });
    world.hub.loss.set(30);
    world.run_for(MINUTE * 60 * 24);
    world.hub.loss.set(0);
    let answer = world.run(MINUTE, async move {
        let (mut stream, mut byte) = (stream.unwrap(), [5]);
        stream.write_all(&byte).await?;
        let read = stream.read(&mut byte).await?;
        Ok::<_, crate::NetError>((read, byte))
    });
    assert_eq!(answer, Some(Ok((1, [5]))));
}

#[test]
fn n09_a_wire_without_room_holds_nobody_up_and_nobody_is_left_out() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24"], 64);
    let mut listener = server.net.listen(7).unwrap();
    let exec = world.exec.clone();
    world.exec.spawn("server", async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            exec.spawn("client", async move {
                while stream.write_all(&[7; 20_000]).await.is_ok() {}
            });
        }
    });
    world.run_for(SECOND);
    let net = client.net.clone();
    let streams = world.run(MINUTE, async move {
        let mut streams = Vec::new();
        for _ in 0..4 {
            streams.push(net.connect(at(1, 7)).await.unwrap());
        }
        streams
    });
    let got = std::rc::Rc::new(std::cell::RefCell::new([0_usize; 4]));
    for (place, mut stream) in streams.unwrap().into_iter().enumerate() {
        let got = got.clone();
        world.exec.spawn("reader", async move {
            let mut bytes = [0; 4000];
            while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                got.borrow_mut()[place] += count;
            }
        });
    }
    for _ in 0..400 {
        server.port.set_room(Some(3));
        world.run_for(Duration::from_millis(3));
        let turns = world.run_for(Duration::from_millis(30));
        assert!(turns < 100, "{turns} turns without room");
    }
    let got = got.borrow();
    let (least, most) = (got.iter().min().unwrap(), got.iter().max().unwrap());
    assert!(*least > 100_000, "{got:?}");
    assert!(*least * 2 > *most, "{got:?}");
}

#[test]
fn n26_datagrams_that_never_come_whole_keep_others_out_for_a_moment_only() {
    let world = World::new();
    let one = world.host(1, &["10.0.0.1/24"], 64);
    let two = world.host(2, &["10.0.0.2/24"], 64);
    let mut server = one.net.udp(9).unwrap();
    let mut client = two.net.udp(0).unwrap();
    let arrived = Rc::new(Cell::new(0));
    let counted = arrived.clone();
    world.exec.spawn("server", async move {
        let mut bytes = vec![0; 9000];
        loop {
            server.receive(&mut bytes).await;
            counted.set(counted.get() + 1);
        }
    });
    world.run_for(SECOND);
    for number in 0..4 {
        let from = (Ipv4Address::new(10, 0, 0, 99), 1);
        let to = (Ipv4Address::new(10, 0, 0, 1), 9);
        let mut first = udp(one.mac(), from, to, &[0; 1000]);
        let mut packet = Ipv4Packet::new_unchecked(&mut first[14..]);
        packet.set_ident(number);
        packet.set_more_frags(true);
        packet.fill_checksum();
        one.port.deliver(first);
    }
    world.run_for(Duration::from_millis(10));
    let sent = world.run(MINUTE, async move {
        client.send(b"x", at(1, 9)).await.unwrap();
        client.send(&[1; 8000], at(1, 9)).await.unwrap();
        client
    });
    world.run_for(Duration::from_millis(10));
    assert_eq!(arrived.get(), 1, "there is room for four");
    world.run_for(SECOND * 5);
    let mut client = sent.unwrap();
    world.run(MINUTE, async move {
        client.send(&[1; 8000], at(1, 9)).await.unwrap();
        // Until it has left.
        core::future::pending::<()>().await;
    });
    assert_eq!(arrived.get(), 2);
}
