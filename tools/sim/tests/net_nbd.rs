//! NBD as another domain sees it: a whole domain with a memory disk, over two network frontends,
//! their backends and a switch.

use std::rc::Rc;
use std::time::Duration;

use app::Domain;
use embedded_io_async::{Read, Write};
use hv::DomId;
use net::{AddressSetting, IpAddress, IpEndpoint, Net, TcpStream};
use sim::{
    Consoled, Dom, DomainConfig, Guest, Netback, NetbackConfig, Switch, SwitchConfig, Toolstack,
    Vif, VifConfig, World, machine,
};

const SERVER: DomId = sim::storage::GUEST;
const CLIENT: DomId = DomId(77);
/// Bytes of the disk.
const SIZE: u32 = 1 << 20;

struct Bench {
    world: World,
    console: Consoled,
    domain: Rc<Domain<Dom>>,
    client: Guest,
    net: Net,
    _switch: Switch,
    _backs: [Netback; 2],
}

impl Bench {
    fn new(switch: SwitchConfig) -> Self {
        let world = World::new(11);
        let toolstack = Toolstack::start(&world);
        let dom = toolstack.create_domain(SERVER, "server", DomainConfig::default());
        let console = Consoled::start(&world, SERVER);
        let client = Guest::with_network(&world, &toolstack, CLIENT, DomainConfig::default(), 1);
        let netfront = client.netfront.as_ref().expect("a frontend");
        let setting = AddressSetting::parse("10.0.0.2/24").expect("an address");
        let net = Net::start(&client.pv, netfront, vec![setting]);
        let switch = Switch::start(&world, switch);
        let backs = [SERVER, CLIENT].map(|guest| {
            let vif = Vif {
                guest,
                backend: DomId(0),
                devid: 0,
            };
            let (keys, config) = (VifConfig::default(), NetbackConfig::default());
            let back = Netback::attach(&world, &toolstack, vif, &keys, config);
            let _port = switch.plug(&back);
            back
        });
        let line = "ip=10.0.0.1/24 md=ram:1M nbd=ram:md0";
        let (domain, shards) = Domain::start(dom.clone(), line);
        let domain = Rc::new(domain);
        machine::run(&world, &domain, shards);
        let bench = Self {
            world,
            console,
            domain,
            client,
            net,
            _switch: switch,
            _backs: backs,
        };
        bench.run_for(Duration::from_secs(5));
        bench
    }

    fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.console.output());
        }
    }

    /// Runs `visit` in the client's domain.
    fn visit<T: 'static>(&self, visit: impl AsyncFnOnce(Net) -> T + 'static) -> T {
        let visited = self.client.run(&self.world, visit(self.net.clone()));
        visited.unwrap_or_else(|stop| panic!("{stop}\n{}", self.console.output()))
    }

    /// How the memory disk is open.
    fn counts(&self) -> String {
        let disk = self.domain.geom.provider("md0").expect("the disk");
        disk.counts.to_string()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.domain.pv.exec.drop_tasks();
    }
}

/// Connects and chooses `ram` in the old way; how large it is, if it can be had.
async fn choose(net: &Net) -> Option<(TcpStream, u64)> {
    let to = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 10_809);
    let mut stream = net.connect(to).await.expect("a connection");
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).await.expect("a greeting");
    assert_eq!(&greeting, b"NBDMAGICIHAVEOPT\0\x03");
    let choice = b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\x03ram";
    stream.write_all(choice).await.expect("it is sent");
    let mut description = [0; 10];
    stream.read_exact(&mut description).await.ok()?;
    let (size, _) = description.split_first_chunk().expect("ten bytes");
    Some((stream, u64::from_be_bytes(*size)))
}

fn request(command: u16, cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    let mut bytes = vec![0x25, 0x60, 0x95, 0x13, 0, 0];
    bytes.extend(command.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes
}

/// A good simple reply to `cookie`.
async fn expect_reply(stream: &mut TcpStream, cookie: u64) {
    let mut reply = [0; 16];
    stream.read_exact(&mut reply).await.expect("a reply");
    let mut expected = vec![0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0];
    expected.extend(cookie.to_be_bytes());
    assert_eq!(reply, expected[..]);
}

fn pattern() -> Vec<u8> {
    (0..SIZE)
        .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8)
        .collect()
}

#[test]
fn a_disk_is_written_and_read_over_good_lines_and_bad() {
    for switch in [SwitchConfig::default(), SwitchConfig::bad()] {
        let bench = Bench::new(switch);
        assert_eq!(bench.counts(), "r0w0e0");
        bench.visit(async |net| {
            let (mut stream, size) = choose(&net).await.expect("the export");
            assert_eq!(size, SIZE.into());
            let write = [request(1, 1, 0, SIZE), pattern()].concat();
            stream.write_all(&write).await.expect("it is sent");
            expect_reply(&mut stream, 1).await;
            let read = request(0, 2, 4096, SIZE - 4096);
            stream.write_all(&read).await.expect("it is sent");
            expect_reply(&mut stream, 2).await;
            let mut bytes = vec![0; SIZE as usize - 4096];
            stream.read_exact(&mut bytes).await.expect("the bytes");
            assert!(bytes == pattern()[4096..]);
            let leave = request(2, 3, 0, 0);
            stream.write_all(&leave).await.expect("it is sent");
            assert_eq!(stream.read(&mut bytes).await, Ok(0));
        });
        bench.run_for(Duration::from_secs(60));
        assert_eq!(bench.counts(), "r0w0e0");
    }
}

#[test]
fn two_clients_write_and_the_disk_is_free_when_both_have_left_even_without_a_word() {
    let bench = Bench::new(SwitchConfig::default());
    let second = bench.visit(async |net| {
        let (mut first, _) = choose(&net).await.expect("the export");
        let (mut second, _) = choose(&net).await.expect("the export");
        let write = [request(1, 1, 0, 4096), pattern()[..4096].to_vec()].concat();
        first.write_all(&write).await.expect("it is sent");
        expect_reply(&mut first, 1).await;
        let torn = [request(1, 1, 8192, SIZE / 2), vec![0; 200_000]].concat();
        first.write_all(&torn).await.expect("it is sent");
        first.abort();
        let read = request(0, 2, 0, 4096);
        second.write_all(&read).await.expect("it is sent");
        expect_reply(&mut second, 2).await;
        let mut bytes = vec![0; 4096];
        second.read_exact(&mut bytes).await.expect("the bytes");
        assert!(bytes == pattern()[..4096]);
        second
    });
    bench.run_for(Duration::from_secs(2));
    assert_eq!(bench.counts(), "r1w1e1", "one is left");
    let refused = bench.domain.geom.open("md0", geom::Access::READ_WRITE);
    assert!(refused.is_err(), "for a client of the export's");
    bench.visit(async move |_net| second.abort());
    bench.run_for(Duration::from_secs(2));
    assert_eq!(bench.counts(), "r0w0e0");
    assert!(bench.visit(async |net| choose(&net).await.is_some()));
}
