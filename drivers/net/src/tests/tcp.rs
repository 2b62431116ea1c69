//! Connections.

use std::time::Duration;

use embedded_io_async::{Read, Write};
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::world::{Host, World};
use crate::{NetError, TcpListener, TcpStream};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn at(last: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v4(10, 0, 0, last), port)
}

/// Two hosts, 10.0.0.1 and 10.0.0.2.
fn pair(world: &World) -> (Host, Host) {
    let one = world.host(1, &["10.0.0.1/24"], 64);
    let two = world.host(2, &["10.0.0.2/24"], 64);
    world.run_for(SECOND);
    (one, two)
}

/// Answers every connection with what it says, until it ends.
pub(super) async fn echo(mut listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await;
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            if stream.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    }
}

async fn say(stream: &mut TcpStream, length: usize) -> bool {
    let bytes: Vec<u8> = (0..length).map(|at| (at * 7 % 251) as u8).collect();
    stream.write_all(&bytes).await.unwrap();
    let mut back = vec![0; length];
    stream.read_exact(&mut back).await.unwrap();
    back == bytes
}

#[test]
fn a_connection_carries_bytes_both_ways_and_nothing_is_left_of_it() {
    let world = World::new();
    let (one, two) = pair(&world);
    world.exec.spawn("echo", echo(one.net.listen(7).unwrap()));
    let net = two.net.clone();
    let same = world.run(MINUTE, async move {
        let mut stream = net.connect(at(1, 7)).await.unwrap();
        let same = say(&mut stream, 3000).await;
        stream.close().await.unwrap();
        same
    });
    assert_eq!(same, Some(true));
    world.run_for(MINUTE);
    for host in [&one, &two] {
        let connections = host.net.connections();
        assert_eq!((connections.count, connections.memory), (0, 0));
    }
}

#[test]
fn a_megabyte_gets_through_a_bad_network() {
    let world = World::new();
    let (one, two) = pair(&world);
    world.hub.loss.set(50);
    world.exec.spawn("echo", echo(one.net.listen(7).unwrap()));
    let net = two.net.clone();
    let same = world.run(MINUTE * 20, async move {
        let (mut reader, mut writer) = net.connect(at(1, 7)).await.unwrap().split();
        let bytes: Vec<u8> = (0..1 << 20).map(|at: usize| (at * 7 % 251) as u8).collect();
        let sent = bytes.clone();
        let mut back = vec![0; bytes.len()];
        let send = async { writer.write_all(&sent).await.unwrap() };
        let receive = async { reader.read_exact(&mut back).await.unwrap() };
        futures_util::join!(send, receive);
        back == bytes
    });
    assert_eq!(same, Some(true));
}

#[test]
fn long_segments_are_left_to_a_wire_that_cuts_them_and_ipv6s_are_not() {
    let world = World::new();
    let (one, two) = pair(&world);
    for host in [&one, &two] {
        // The same interface over a wire that can do more.
        host.port.offloads.set(true);
        world.connect(host, None);
    }
    world.run_for(SECOND);
    let six = one.net.interfaces()[0].addresses[0].address();
    world.exec.spawn("echo", echo(one.net.listen(7).unwrap()));
    for (to, long) in [(IpEndpoint::new(six, 7), false), (at(1, 7), true)] {
        let net = two.net.clone();
        let same = world.run(MINUTE, async move {
            let (mut reader, mut writer) = net.connect(to).await.unwrap().split();
            let bytes: Vec<u8> = (0..1 << 20).map(|at: usize| (at * 7 % 251) as u8).collect();
            let mut back = vec![0; bytes.len()];
            let send = async { writer.write_all(&bytes).await.unwrap() };
            let receive = async { reader.read_exact(&mut back).await.unwrap() };
            futures_util::join!(send, receive);
            back == bytes
        });
        assert_eq!(same, Some(true));
        assert_eq!(two.port.longest.get() > 30_000, long);
        assert!(long || two.port.longest.get() <= 1514);
    }
}

#[test]
fn what_cannot_be_connected_to_says_so() {
    let world = World::new();
    let (one, two) = pair(&world);
    let net = two.net.clone();
    let connect = |to| {
        let net = net.clone();
        world.run(MINUTE, async move { net.connect(to).await.map(|_| ()) })
    };
    assert_eq!(connect(at(1, 9)), Some(Err(NetError::Refused)));
    assert_eq!(connect(at(77, 9)), Some(Err(NetError::TimedOut)));
    assert_eq!(connect(at(1, 0)), Some(Err(NetError::BadAddress)));
    assert_eq!(connect(at(2, 7)), Some(Err(NetError::Unreachable)));
    for bad in [
        "0.0.0.0:7",
        "255.255.255.255:7",
        "224.0.0.1:7",
        "127.0.0.1:7",
        "[::]:7",
    ] {
        let to: core::net::SocketAddr = bad.parse().unwrap();
        assert_eq!(connect(to.into()), Some(Err(NetError::BadAddress)), "{bad}");
    }
    let elsewhere = IpEndpoint::new(IpAddress::v4(192, 168, 0, 1), 80);
    assert_eq!(connect(elsewhere), Some(Err(NetError::Unreachable)));
    drop(one);
}

#[test]
fn a_port_has_one_listener_and_is_free_again_when_that_is_dropped() {
    let world = World::new();
    let (one, two) = pair(&world);
    let listener = one.net.listen(80).unwrap();
    assert_eq!(one.net.listen(80).unwrap_err(), NetError::PortInUse);
    assert_eq!(one.net.listen(0).unwrap_err(), NetError::BadAddress);
    drop(listener);
    let again = one.net.listen(80).unwrap();
    // A connection that nobody accepted is reset with it.
    let net = two.net.clone();
    let stream = world.run(MINUTE, async move { net.connect(at(1, 80)).await.unwrap() });
    drop(again);
    world.run_for(SECOND);
    let mut stream = stream.unwrap();
    let read = world.run(SECOND, async move { stream.read(&mut [0]).await });
    assert_eq!(read, Some(Err(NetError::Reset)));
    assert_eq!(one.net.connections().count, 0);
}

#[test]
fn a_dropped_stream_still_sends_what_was_written() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut listener = one.net.listen(80).unwrap();
    world.exec.spawn("server", async move {
        let (mut stream, _) = listener.accept().await;
        stream.write_all(&[9; 5000]).await.unwrap();
    });
    let net = two.net.clone();
    let got = world.run(MINUTE, async move {
        let mut stream = net.connect(at(1, 80)).await.unwrap();
        let (mut all, mut bytes) = (0, [0; 700]);
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            all += count;
        }
        all
    });
    assert_eq!(got, Some(5000));
}

#[test]
fn n01_connections_survive_a_new_wire_and_end_with_the_interface() {
    let world = World::new();
    let (one, two) = pair(&world);
    world.exec.spawn("echo", echo(one.net.listen(7).unwrap()));
    let net = two.net.clone();
    let mut stream = world
        .run(MINUTE, async move { net.connect(at(1, 7)).await.unwrap() })
        .unwrap();
    one.port.set_gone();
    world.run_for(SECOND);
    assert!(!one.net.interfaces()[0].up);
    let port = world.hub.plug_in();
    let one = Host { port, ..one };
    world.connect(&one, None);
    let mut stream = world
        .run(MINUTE, async move {
            assert!(say(&mut stream, 10_000).await);
            stream
        })
        .unwrap();
    assert!(one.net.interfaces()[0].up);
    two.net.detach("xn0");
    let read = world.run(SECOND, async move { stream.read(&mut [0]).await });
    assert_eq!(read, Some(Err(NetError::Reset)));
    assert!(two.net.interfaces().is_empty());
    assert_eq!(two.net.connections().count, 0);
}

#[test]
fn a_ping_is_answered_over_both_protocols_and_a_bad_one_is_an_error() {
    let world = World::new();
    let (one, two) = pair(&world);
    let six = one.net.interfaces()[0].addresses[0].address();
    for (to, sizes) in [
        (IpAddress::v4(10, 0, 0, 1), [0, 56, 1472, 8000].as_slice()),
        (six, &[0, 56, 1400]),
    ] {
        for &size in sizes {
            let mut ping = two.net.ping(to).unwrap();
            let reply = world.run(MINUTE, async move { ping.echo(size, SECOND * 5).await });
            let reply = reply.unwrap().unwrap();
            assert_eq!((reply.bytes, reply.from, reply.sequence), (size + 8, to, 1));
        }
    }
    let mut lost = two.net.ping(IpAddress::v4(10, 0, 0, 9)).unwrap();
    let replies = world.run(MINUTE, async move {
        let mut replies = Vec::new();
        for _ in 0..10 {
            replies.push(lost.echo(56, SECOND).await);
        }
        replies
    });
    assert_eq!(replies, Some(vec![Err(NetError::TimedOut); 10]));
    let mut long = two.net.ping(six).unwrap();
    let reply = world.run(MINUTE, async move { long.echo(9000, SECOND).await });
    assert_eq!(reply, Some(Err(NetError::TooLong)));
    for bad in [
        "::",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "127.0.0.1",
        "::1",
    ] {
        let error = two.net.ping(bad.parse().unwrap()).unwrap_err();
        assert_eq!(error, NetError::BadAddress, "{bad}");
    }
}

#[test]
fn datagrams_go_both_ways() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut server = one.net.udp(53).unwrap();
    assert_eq!(one.net.udp(53).unwrap_err(), NetError::PortInUse);
    let mut client = two.net.udp(0).unwrap();
    world.exec.spawn("server", async move {
        let mut bytes = [0; 100];
        let (count, from) = server.receive(&mut bytes).await;
        server.send(&bytes[..count], from).await.unwrap();
    });
    let answer = world.run(MINUTE, async move {
        client.send(b"question", at(1, 53)).await.unwrap();
        let mut bytes = [0; 100];
        let (count, from) = client.receive(&mut bytes).await;
        let refused = client.send(b"x", at(1, 0)).await;
        assert_eq!(refused, Err(NetError::BadAddress));
        assert_eq!(
            client.send(&[0; 9000], at(1, 53)).await,
            Err(NetError::TooLong)
        );
        (bytes[..count].to_vec(), from)
    });
    assert_eq!(answer, Some((b"question".to_vec(), at(1, 53))));
}

#[test]
fn names_are_asked_for_of_the_name_server() {
    let world = World::new();
    let server = world.host(1, &["10.0.0.1/24"], 64);
    let client = world.host(2, &["10.0.0.2/24,10.0.0.1,10.0.0.1"], 64);
    let mut dns = server.net.udp(53).unwrap();
    world.exec.spawn("dns", async move {
        let mut bytes = [0; 512];
        loop {
            let (count, from) = dns.receive(&mut bytes).await;
            // The question as it is, with an answer behind it: an A record for it, if asked for.
            let mut answer = bytes[..count].to_vec();
            let asks_a = answer[count - 3] == 1;
            let known = answer[13..].starts_with(b"known");
            answer[2] |= 0x80;
            if !known {
                answer[3] |= 3;
            } else if asks_a {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
            }
            dns.send(&answer, from).await.unwrap();
        }
    });
    world.run_for(SECOND);
    let resolve = |name: &'static str| {
        let net = client.net.clone();
        world
            .run(MINUTE, async move { net.resolve(name).await })
            .unwrap()
    };
    assert_eq!(
        resolve("known.example"),
        Ok(vec![IpAddress::v4(192, 0, 2, 7)])
    );
    assert_eq!(resolve("unknown.example"), Err(NetError::NoSuchName));
    assert_eq!(resolve("10.0.0.9"), Ok(vec![IpAddress::v4(10, 0, 0, 9)]));
    for bad in ["", ".", "a..b", "a b", "ä.example", "\n"] {
        assert_eq!(resolve(bad), Err(NetError::NoSuchName), "{bad:?}");
    }
    let net = server.net.clone();
    let nobody = world.run(MINUTE, async move { net.resolve("known.example").await });
    assert_eq!(nobody, Some(Err(NetError::NoNameServer)));
    // Many questions at a time, and questions that nobody waits for any more.
    for _ in 0..40 {
        let net = client.net.clone();
        let exec = world.exec.clone();
        world.exec.spawn("question", async move {
            let limit = Duration::from_micros(1);
            let _late = exec.timeout(limit, net.resolve("known.example")).await;
        });
    }
    world.run_for(MINUTE);
    assert_eq!(resolve("known.example").map(|all| all.len()), Ok(1));
    drop(server);
    let net = client.net.clone();
    client.port.set_carrier(false);
    let none = world.run(MINUTE, async move { net.resolve("known.example").await });
    assert_eq!(none, Some(Err(NetError::NoNameServer)));
}

#[test]
fn n14_interfaces_that_come_and_go_leave_nothing() {
    let world = World::new();
    let (one, two) = pair(&world);
    let _listener = one.net.listen(80).unwrap();
    let _udp = one.net.udp(53).unwrap();
    let tasks = world.exec.tasks().len();
    for round in 0..50 {
        let net = two.net.clone();
        let stream = world.run(MINUTE, async move { net.connect(at(1, 80)).await });
        assert!(stream.unwrap().is_ok(), "{round}");
        let ping = two.net.ping(IpAddress::v4(10, 0, 0, 1)).unwrap();
        if round % 2 == 0 {
            one.net.detach("xn0");
        }
        world.connect(&one, None);
        world.run_for(SECOND);
        drop(ping);
        assert_eq!(world.exec.tasks().len(), tasks);
        assert_eq!(one.net.interfaces().len(), 1);
    }
    one.net.detach("xn0");
    one.net.detach("xn7");
    assert_eq!(one.net.connections().memory, 0);
}

#[test]
fn what_is_aborted_is_reset_at_the_other_end() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut listener = one.net.listen(80).unwrap();
    world.exec.spawn("server", async move {
        loop {
            let (stream, _) = listener.accept().await;
            stream.abort();
        }
    });
    let net = two.net.clone();
    let read = world.run(MINUTE, async move {
        let mut stream = net.connect(at(1, 80)).await.unwrap();
        stream.read(&mut [0]).await
    });
    assert_eq!(read, Some(Err(NetError::Reset)));
    world.run_for(SECOND * 2);
    assert_eq!(one.net.connections().count, 0);
}

#[test]
fn n15_a_datagram_for_a_neighbour_that_is_not_there_holds_up_no_other_for_long() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut server = one.net.udp(53).unwrap();
    let mut client = two.net.udp(0).unwrap();
    world.exec.spawn("client", async move {
        client.send(b"lost", at(77, 53)).await.unwrap();
        client.send(b"found", at(1, 53)).await.unwrap();
        std::future::pending::<()>().await;
    });
    world.run_for(SECOND * 10);
    let mut again = two.net.udp(0).unwrap();
    let found = world.run(SECOND, async move {
        again.send(b"again", at(1, 53)).await.unwrap();
        let mut bytes = [0; 9];
        let (count, _) = server.receive(&mut bytes).await;
        bytes[..count].to_vec()
    });
    assert_eq!(found, Some(b"again".to_vec()));
    let traffic = two.net.interfaces()[0].traffic;
    world.run_for(MINUTE * 5);
    let after = two.net.interfaces()[0].traffic;
    assert!(after.sent < traffic.sent + 5, "it is looked for no more");
}

#[test]
fn n23_who_waits_to_send_a_datagram_is_told_when_the_interface_goes() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut udp = one.net.udp(9).unwrap();
    one.port.set_room(Some(0));
    let net = one.net.clone();
    world.exec.spawn("unplug", {
        let exec = world.exec.clone();
        async move {
            exec.sleep(SECOND).await;
            net.detach("xn0");
        }
    });
    let end = world.run(SECOND * 4, async move {
        loop {
            if let Err(error) = udp.send(&[0; 4000], at(2, 9)).await {
                return error;
            }
        }
    });
    assert_eq!(end, Some(NetError::Unreachable));
    drop(two);
}

#[test]
fn a_udp_port_is_taken_while_what_it_was_given_goes_out() {
    let world = World::new();
    let (one, two) = pair(&world);
    let net = one.net.clone();
    world.run(SECOND, async move {
        let mut udp = net.udp(9).unwrap();
        udp.send(b"x", at(77, 9)).await.unwrap();
        drop(udp);
        assert_eq!(net.udp(9).unwrap_err(), NetError::PortInUse);
    });
    world.run_for(SECOND * 10);
    let again = one.net.udp(9).unwrap();
    drop(again);
    assert!(one.net.udp(9).is_ok());
    drop(two);
}

#[test]
fn datagrams_in_many_fragments_all_arrive() {
    let world = World::new();
    let (one, two) = pair(&world);
    let mut server = one.net.udp(9).unwrap();
    let mut client = two.net.udp(0).unwrap();
    let lengths = world.run(SECOND * 9, async move {
        // Both know where the other is.
        client.send(b"x", at(1, 9)).await.unwrap();
        let mut bytes = vec![0; 9000];
        let mut lengths = vec![server.receive(&mut bytes).await.0];
        client.send(&[1; 8000], at(1, 9)).await.unwrap();
        client.send(&[2; 7999], at(1, 9)).await.unwrap();
        lengths.push(server.receive(&mut bytes).await.0);
        lengths.push(server.receive(&mut bytes).await.0);
        lengths
    });
    assert_eq!(lengths, Some(vec![1, 8000, 7999]));
}
