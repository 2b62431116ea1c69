//! A day of three guests on a bad line: every ten minutes there are two minutes of traffic, and
//! then silence, in which every timer that there is goes on.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use allocation_counter::measure;
use embedded_io_async::Write;
use exec::Executor;
use hv::Instant;
use net::{IpAddress, Net};
use sim::frames::Address;
use sim::guest::Holdings;
use sim::lan::{Lan, read_stream, write_part, write_stream};
use sim::{Dhcpd, NetbackConfig, Rng, SwitchConfig, Vif};

const SECOND: Duration = Duration::from_secs(1);
/// From one burst of traffic to the next.
const PERIOD: Duration = Duration::from_secs(600);
/// How long new transfers begin.
const BURST: Duration = Duration::from_secs(120);
/// When a burst must be over, and when nothing of it may be left (TIME_WAIT ends, neighbours are
/// forgotten).
const OVER: Duration = Duration::from_secs(240);
const QUIET: Duration = Duration::from_secs(300);
/// Half of it is when it is renewed: that is in the quiet.
const LEASE: Duration = Duration::from_secs(900);
/// What a slow stream has of each period.
const PIECE: u64 = 3000;
/// The clients: on which guest, and which one.
const CLIENTS: [(usize, u64); 5] = [(1, 1), (1, 2), (2, 3), (2, 4), (2, 5)];
/// Periods after which nothing is new to anybody: pages for packets and places in tables are made
/// when they are needed, and kept for the next, until the backend begins anew.
const WARM: u64 = 2;
/// What the heap may have more then, of guests, peers and all, in bytes, beside the pages that are
/// granted: a table that grew, a backend that has come back.
const GROWN: i64 = 1 << 19;
/// Bytes that the simulator needs for a page that is granted. Pages for packets are made as many as
/// were ever under way at once since the backend began anew, which the netfront's tests bound.
const PAGE: i64 = 5920;

/// Five periods, or the 144 of a day with `XENOLITH_LONG`.
fn periods() -> u64 {
    if std::env::var_os("XENOLITH_LONG").is_some() {
        144
    } else {
        5
    }
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    whole: Cell<u64>,
    aborted: Cell<u64>,
    broken: Cell<u64>,
    refused: Cell<u64>,
    bytes: Rc<Cell<u64>>,
    /// The longest that a transfer took, in milliseconds.
    slowest: Cell<u128>,
    pings: Cell<u64>,
    pongs: Cell<u64>,
    datagrams: Cell<u64>,
    echoes: Cell<u64>,
    /// The day is over.
    over: Cell<bool>,
    /// Bytes of the slow streams.
    slow: Cell<u64>,
    /// Jobs that have ended.
    ended: Cell<usize>,
}

fn add<T: Copy + std::ops::Add<Output = T>>(cell: &Cell<T>, more: T) {
    cell.set(cell.get() + more);
}

/// A guest as a job has it.
struct Place {
    net: Net,
    exec: Executor,
    tally: Rc<Tally>,
}

/// One client's burst: connection after connection, each with another fate.
async fn client(at: Place, rng: Rng, end: Instant) {
    let Place { net, exec, tally } = at;
    while exec.now() < end {
        let number = rng.next();
        let length = rng.below(1 << (6 + rng.below(14)));
        let began = exec.now();
        let Ok(stream) = net.connect(Lan::endpoint(0, 7)).await else {
            add(&tally.refused, 1);
            exec.sleep(SECOND).await;
            continue;
        };
        let fate = rng.below(10);
        if fate == 0 {
            stream.abort();
            add(&tally.aborted, 1);
            continue;
        }
        let (mut reader, mut writer) = stream.split();
        let asked = async {
            writer.write_all(&number.to_be_bytes()).await?;
            write_stream(&mut writer, number, length).await?;
            if fate == 1 {
                exec.sleep(SECOND * 3).await;
            }
            writer.close().await?;
            read_stream(&mut reader, !number, u64::MAX, &tally.bytes).await
        };
        match asked.await {
            Ok(count) if count == length => add(&tally.whole, 1),
            Ok(_) | Err(_) => add(&tally.broken, 1),
        }
        let took = exec.now().since(began).as_millis();
        tally.slowest.set(tally.slowest.get().max(took));
        exec.sleep(Duration::from_millis(rng.below(2000))).await;
    }
    add(&tally.ended, 1);
}

/// Echo requests, each with a second for its answer.
async fn pinger(at: Place, to: IpAddress) {
    let mut ping = at.net.ping(to).expect("there is a way");
    for size in [0, 56, 1400, 4000, 56, 56, 8000, 56] {
        add(&at.tally.pings, 1);
        if ping.echo(size, SECOND).await.is_ok() {
            add(&at.tally.pongs, 1);
        }
    }
    add(&at.tally.ended, 1);
}

/// Datagrams to a port that sends them back; some are longer than a packet. What comes back must be
/// one that was sent.
async fn datagrams(at: Place, rng: Rng) {
    let Place { net, exec, tally } = at;
    let mut socket = net.udp(0).expect("a port is free");
    let mut into = vec![0; 8192];
    for number in 0..100u64 {
        let length = 8 + usize::try_from(rng.below(4000)).unwrap_or(0);
        let mut bytes = vec![number.to_le_bytes()[0]; length];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let sent = socket.send(&bytes, Lan::endpoint(0, 9)).await;
        add(&tally.datagrams, u64::from(sent.is_ok()));
        let limit = Duration::from_millis(20);
        while let Ok((count, _)) = exec.timeout(limit, socket.receive(&mut into)).await {
            let (head, rest) = into[..count].split_first_chunk().expect("a number");
            let came = u64::from_be_bytes(*head);
            assert!(came <= number, "datagram {came} of {number}");
            let right = came.to_le_bytes()[0];
            assert!(rest.iter().all(|byte| *byte == right), "datagram {came}");
            add(&tally.echoes, 1);
        }
    }
    add(&tally.ended, 1);
}

/// A stream that lives as long as the day, and has a little to say in each period: it hears nothing
/// for the rest but what keeps it alive.
async fn slow(at: Place, number: u64) {
    let Place { net, exec, tally } = at;
    let stream = net.connect(Lan::endpoint(0, 7)).await.expect("it connects");
    let (mut reader, mut writer) = stream.split();
    let begun = writer.write_all(&number.to_be_bytes()).await;
    begun.expect("it has just begun");
    let mut length = 0;
    while !tally.over.get() {
        let part = length..length + PIECE;
        let written = write_part(&mut writer, number, part).await;
        written.expect("it outlives the silence");
        length += PIECE;
        exec.sleep(PERIOD).await;
    }
    writer.close().await.expect("all is taken");
    let count = Rc::new(Cell::new(0));
    let came = read_stream(&mut reader, !number, u64::MAX, &count).await;
    assert_eq!(came, Ok(length), "a slow stream's answer");
    add(&tally.slow, length);
    add(&tally.ended, 1);
}

/// Sends datagrams back.
fn serve_datagrams(lan: &Lan) {
    let mut socket = lan.net(0).udp(9).expect("the port is free");
    lan.spawn(0, async move {
        let mut bytes = vec![0; 8192];
        loop {
            let (count, from) = socket.receive(&mut bytes).await;
            // Its sender may be out of reach again.
            let _lost = socket.send(&bytes[..count], from).await;
        }
    });
}

struct Day {
    lan: Lan,
    dhcpd: Dhcpd,
    tally: Rc<Tally>,
    rng: Rng,
}

impl Day {
    /// Guest 0 serves; the others have their addresses from a DHCP server.
    fn begin() -> Self {
        let addresses = ["xn0:10.0.0.1/24", "xn0:dhcp", "xn0:dhcp"];
        let lan = Lan::with_addresses(
            30,
            addresses.into_iter().map(String::from),
            SwitchConfig::bad(),
            &NetbackConfig::default(),
        );
        let own = Address {
            mac: [2, 0, 0, 0, 0, 9],
            ip: [10, 0, 0, 200],
        };
        let client = |(vif, ip): (Vif, [u8; 4])| Address { mac: vif.mac(), ip };
        let vifs = lan.backends.iter().map(sim::Netback::vif);
        let clients = vifs.zip([1, 2, 3].map(|last| [10, 0, 0, last])).map(client);
        let dhcpd = Dhcpd::start(&lan.world, &lan.switch, own, clients.collect(), LEASE);
        lan.serve_answers(7);
        serve_datagrams(&lan);
        let day = Self {
            lan,
            dhcpd,
            tally: Rc::default(),
            rng: Rng::new(31),
        };
        day.lan.until("all have addresses", |_| day.has_addresses());
        day
    }

    fn has_addresses(&self) -> bool {
        let nets = (0..3).map(|guest| self.lan.net(guest));
        nets.zip(1..).all(|(net, last)| {
            let own = IpAddress::v4(10, 0, 0, last);
            let mut addresses = net.interfaces().into_iter().flat_map(|i| i.addresses);
            addresses.any(|cidr| cidr.address() == own)
        })
    }

    fn place(&self, guest: usize) -> Place {
        Place {
            net: self.lan.net(guest),
            exec: self.lan.guests[guest].pv.exec.clone(),
            tally: self.tally.clone(),
        }
    }

    /// What is the same after each burst: of each guest its tasks, pages that peers hold on to,
    /// ports, sockets, and their memory.
    fn baseline(&self) -> Vec<[usize; 5]> {
        let of = |guest| {
            let net = self.lan.net(guest);
            let Holdings {
                xen, tasks, parked, ..
            } = self.lan.holdings(guest);
            [
                tasks,
                parked,
                xen.ports,
                net.sockets().len(),
                net.connections().memory,
            ]
        };
        (0..3).map(of).collect()
    }

    /// Two minutes of traffic, in the middle of which a backend may go or its cable be pulled.
    fn burst(&self) {
        let (lan, tally, rng) = (&self.lan, &self.tally, &self.rng);
        let began = lan.world.now();
        let before = tally.whole.get();
        tally.ended.set(0);
        for (guest, number) in CLIENTS {
            let rng = Rng::new(rng.next() ^ number);
            lan.spawn(guest, client(self.place(guest), rng, began.after(BURST)));
        }
        for guest in 0..3 {
            let to = Lan::endpoint((guest + 1) % 3, 0).addr;
            lan.spawn(guest, pinger(self.place(guest), to));
        }
        lan.spawn(1, datagrams(self.place(1), Rng::new(rng.next())));
        lan.run_for(Duration::from_millis(10_000 + rng.below(100_000)));
        let backend = &lan.backends[rng.index(3)];
        match rng.below(3) {
            0 => backend.close(),
            1 => {
                backend.set_carrier(false);
                lan.run_for(SECOND);
                backend.set_carrier(true);
            }
            _ => {}
        }
        let jobs = CLIENTS.len() + 4;
        lan.until("all have ended", |_| tally.ended.get() == jobs);
        let took = lan.world.now().since(began);
        assert!(took < OVER, "a burst of {took:?}: {tally:?}");
        assert!(tally.whole.get() > before + 50, "{tally:?}");
    }

    /// A burst, and silence up to the next one.
    fn period(&self) {
        let lan = &self.lan;
        let began = lan.world.now();
        self.burst();
        lan.run_for(began.after(QUIET).since(lan.world.now()));
        let polls = |guest: usize| lan.guests[guest].pv.exec.polls();
        let polled: Vec<_> = (0..3).map(polls).collect();
        let frames = lan.switch.passed().frames;
        lan.run_for(began.after(PERIOD).since(lan.world.now()));
        let more: Vec<_> = (0..3).map(|guest| polls(guest) - polled[guest]).collect();
        let frames = lan.switch.passed().frames - frames;
        assert!(frames < 300, "{frames} frames in five minutes of silence");
        assert!(more.iter().all(|more| *more < 1000), "polls: {more:?}");
    }
}

impl Day {
    /// Pages that the guests have granted.
    fn pages(&self) -> i64 {
        let granted = (0..3).map(|guest| self.lan.holdings(guest).granted);
        i64::try_from(granted.sum::<usize>()).expect("few pages")
    }

    /// What came of it.
    fn assess(&self, grown: i64) {
        let (passed, tally) = (self.lan.switch.passed(), &self.tally);
        println!("{passed:?}\n{tally:?}");
        let leases = self.dhcpd.acknowledged();
        println!("{leases} leases; the heap has {grown} bytes more, beside pages");
        let damage = [passed.lost, passed.repeated, passed.overtaken];
        assert!(damage.iter().all(|count| *count > 200), "{passed:?}");
        assert_eq!(tally.broken.get(), 0, "{tally:?}");
        // Longer than that nobody may be silent.
        assert!(tally.slowest.get() < 60_000, "{tally:?}");
        // Without a carrier nobody can be reached: no more than that.
        assert!(tally.refused.get() < 5 + periods(), "{tally:?}");
        assert!(tally.slow.get() >= 2 * periods() * PIECE, "{tally:?}");
        // What is long has many pieces that may be lost.
        let most = |part: u64, all: u64| part * 4 > all * 3;
        assert!(most(tally.pongs.get(), tally.pings.get()), "{tally:?}");
        let datagrams = (tally.echoes.get(), tally.datagrams.get());
        assert!(most(datagrams.0, datagrams.1), "{tally:?}");
        let (time, lease) = (periods() * PERIOD.as_secs(), LEASE.as_secs());
        assert!(leases >= 2 * time / lease, "{leases} leases in {time} s");
        for (guest, backend) in self.lan.guests.iter().zip(&self.lan.backends) {
            assert_eq!(guest.log_lines("the lease from DHCP has ended"), 0);
            assert_eq!(backend.complaints(), Vec::<String>::new());
        }
    }
}

/// Fifty minutes of simulated time, or a day with `XENOLITH_LONG`.
#[test]
fn a_day_of_loss_leaves_every_stream_whole_and_nothing_behind() {
    let day = Day::begin();
    let (lan, tally) = (&day.lan, &day.tally);
    let before: Vec<_> = (0..3).map(|guest| lan.holdings(guest)).collect();
    for guest in 1..3 {
        lan.spawn(guest, slow(day.place(guest), guest as u64));
    }
    lan.run_for(SECOND * 120);
    let baseline = day.baseline();
    let mut grown = 0;
    for period in 0..periods() {
        let pages = day.pages();
        let heap = measure(|| day.period()).bytes_current;
        if period >= WARM {
            grown += heap - (day.pages() - pages) * PAGE;
        }
        assert!(grown < GROWN, "period {period}: the heap has {grown} more");
        assert_eq!(day.baseline(), baseline, "period {period}");
        assert!(day.has_addresses(), "period {period}");
    }
    tally.ended.set(0);
    tally.over.set(true);
    lan.until("the slow ones have ended", |_| tally.ended.get() == 2);
    lan.run_for(SECOND * 120);
    day.assess(grown);
    for (guest, then) in before.iter().enumerate() {
        assert_eq!(lan.net(guest).connections().count, 0);
        let now = lan.holdings(guest);
        assert_eq!((now.tasks, now.parked), (then.tasks, then.parked));
        assert_eq!((now.xen.ports, now.store), (then.xen.ports, then.store));
        // Pages to receive into, and those for packets, which are few.
        assert!(now.granted < 1024 && now.xen.pages < 1024, "{now:?}");
    }
}
