//! The shipped network stack of several guests over the shipped frontend, the modelled backend and
//! a switch, good or bad: what is sent arrives as it was sent, and nothing is left behind.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::{Read, Write};
use net::TcpStream;
use sim::lan::{Lan, read_stream, write_stream};
use sim::{NetbackConfig, SwitchConfig};

const SECOND: Duration = Duration::from_secs(1);

/// Serves at `port` of guest 0: sends back what comes, to the end.
fn serve_echo(lan: &Lan, port: u16) {
    let mut listener = lan.net(0).listen(port).expect("the port is free");
    let exec = lan.guests[0].pv.exec.clone();
    lan.spawn(0, async move {
        loop {
            let (mut stream, _) = listener.accept().await;
            exec.spawn("echo", async move {
                let mut bytes = vec![0; 8192];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    if stream.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
                let _ended = stream.close().await;
            });
        }
    });
}

/// Streams both ways over one connection, with its two halves in two tasks.
fn exchange(lan: &Lan, length: u64) -> Rc<Cell<u64>> {
    let sum = Rc::new(Cell::new(0));
    let done = Rc::new(Cell::new(0u32));
    let mut listener = lan.net(0).listen(9).expect("the port is free");
    for guest in 0..2 {
        let (net, sum, done) = (lan.net(1), sum.clone(), done.clone());
        let exec = lan.guests[guest].pv.exec.clone();
        let number = guest as u64 + 1;
        let streams = async move |stream: TcpStream| {
            let (mut reader, mut writer) = stream.split();
            let written = done.clone();
            exec.spawn("writer", async move {
                let ended = write_stream(&mut writer, number, length).await;
                ended.expect("it is written");
                writer.close().await.expect("it is taken");
                written.set(written.get() + 1);
            });
            let came = read_stream(&mut reader, 3 - number, u64::MAX, &sum).await;
            assert_eq!(came, Ok(length));
            done.set(done.get() + 1);
        };
        if guest == 0 {
            let accepted = std::mem::replace(&mut listener, lan.net(0).listen(8).expect("free"));
            lan.spawn(0, async move {
                let mut listener = accepted;
                let (stream, _) = listener.accept().await;
                streams(stream).await;
            });
        } else {
            lan.spawn(1, async move {
                let stream = net.connect(Lan::endpoint(0, 9)).await;
                streams(stream.expect("it connects")).await;
            });
        }
    }
    let ended = sum.clone();
    lan.until("all came", |_| ended.get() == 2 * length);
    lan.run_for(SECOND * 10);
    sum
}

#[test]
fn streams_pass_whole_whatever_the_backends_can_do() {
    for (seed, poor) in (1..).zip([false, true]) {
        for wire in [false, true] {
            let config = NetbackConfig {
                sg: !poor,
                gso_tcpv4: !poor,
                gso_tcpv6: !poor,
                no_csum: poor,
                split: !poor,
                ..NetbackConfig::default()
            };
            let line = SwitchConfig {
                wire,
                ..SwitchConfig::default()
            };
            let lan = Lan::new(seed, 2, line, &config);
            exchange(&lan, 4 << 20);
            let served = lan.backends[1].served();
            assert_eq!(served.sent_gso > 50, !poor, "{served:?}");
            assert_eq!(served.received_gso > 50, !poor && !wire, "{served:?}");
            assert_eq!(served.sent_blank > 50, !poor, "{served:?}");
            assert_eq!(served.tx_errors + served.overflowed, 0, "{served:?}");
        }
    }
}

#[test]
fn streams_pass_whole_over_a_bad_line() {
    for seed in 10..13 {
        let lan = Lan::new(seed, 2, SwitchConfig::bad(), &NetbackConfig::default());
        let before = [lan.holdings(0), lan.holdings(1)];
        exchange(&lan, 1 << 20);
        let passed = lan.switch.passed();
        assert!(
            passed.lost > 5 && passed.repeated > 5 && passed.overtaken > 5,
            "{passed:?}"
        );
        // Connections are remembered for a while after their end (TIME_WAIT).
        lan.run_for(SECOND * 300);
        for (guest, before) in before.iter().enumerate() {
            assert_eq!(lan.net(guest).connections().count, 0);
            assert_eq!(lan.holdings(guest).tasks, before.tasks);
            assert_eq!(lan.holdings(guest).parked, 0);
        }
    }
}

#[test]
fn a_connection_outlives_the_backend_s_new_start() {
    let lan = Lan::new(20, 2, SwitchConfig::default(), &NetbackConfig::default());
    lan.serve_answers(7);
    let net = lan.net(1);
    let (came, sum) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let (slot, count) = (came.clone(), sum.clone());
    lan.spawn(1, async move {
        let stream = net.connect(Lan::endpoint(0, 7)).await.expect("it connects");
        let (mut reader, mut writer) = stream.split();
        let asked = async {
            writer.write_all(&5u64.to_be_bytes()).await?;
            write_stream(&mut writer, 5, 3 << 20).await?;
            writer.close().await?;
            read_stream(&mut reader, !5, u64::MAX, &count).await
        };
        slot.set(Some(asked.await.expect("it goes on")));
    });
    // Once while it asks, and while it is answered.
    lan.run_for(Duration::from_millis(5));
    lan.backends[0].close();
    for round in 1..4 {
        lan.until("some came", |_| sum.get() > round * 600_000);
        lan.backends[usize::try_from(round % 2).unwrap_or(0)].close();
    }
    lan.until("all came", |_| came.get() == Some(3 << 20));
    assert!(lan.backends[0].connections() >= 2);
    assert!(lan.backends[1].connections() >= 3);
}

#[test]
fn a_thousand_connections_to_one_guest_at_once() {
    const EACH: u64 = 250;
    let lan = Lan::new(40, 5, SwitchConfig::default(), &NetbackConfig::default());
    serve_echo(&lan, 7);
    lan.run_for(SECOND);
    let before = lan.holdings(0);
    let open = Rc::new(Cell::new(0u64));
    let done = Rc::new(Cell::new(0u64));
    let failed = Rc::new(RefCell::new(Vec::new()));
    for guest in 1..5 {
        for number in 0..EACH {
            let (net, exec) = (lan.net(guest), lan.guests[guest].pv.exec.clone());
            let (open, done, failed) = (open.clone(), done.clone(), failed.clone());
            let number = number + 1000 * guest as u64;
            lan.spawn(guest, async move {
                let stream = loop {
                    match net.connect(Lan::endpoint(0, 7)).await {
                        Ok(stream) => break stream,
                        Err(error) => failed.borrow_mut().push(error),
                    }
                    exec.sleep(SECOND).await;
                };
                open.set(open.get() + 1);
                // All are open at once before any goes on.
                while open.get() < 4 * EACH {
                    exec.sleep(Duration::from_millis(100)).await;
                }
                let (mut reader, mut writer) = stream.split();
                exec.spawn("writer", async move {
                    write_stream(&mut writer, number, 20_000)
                        .await
                        .expect("it is written");
                    writer.close().await.expect("it is taken");
                });
                let sum = Rc::new(Cell::new(0));
                let came = read_stream(&mut reader, number, u64::MAX, &sum).await;
                assert_eq!(came, Ok(20_000));
                done.set(done.get() + 1);
            });
        }
    }
    lan.until("all are open", |_| open.get() == 4 * EACH);
    assert!(lan.net(0).connections().count >= 1000);
    lan.until("all are done", |_| done.get() == 4 * EACH);
    lan.run_for(SECOND * 60);
    assert_eq!(lan.net(0).connections().count, 0);
    // Whoever has nothing to do does nothing.
    let polls = |guest: usize| lan.guests[guest].pv.exec.polls();
    let polled: Vec<_> = (0..5).map(polls).collect();
    lan.run_for(SECOND * 60);
    for (guest, before) in polled.iter().enumerate() {
        let more = polls(guest) - before;
        assert!(
            more < 100,
            "guest {guest} had {more} polls in a minute of silence"
        );
    }
    let after = lan.holdings(0);
    assert_eq!((after.tasks, after.parked), (before.tasks, 0));
    assert!(failed.borrow().len() < 100, "{:?}", failed.borrow());
}
