//! The examples of `boot`, the very files, on the simulated Xen: each with the devices that it
//! wants and a peer.

extern crate self as boot;

use std::rc::Rc;
use std::time::Duration;

use app::{App, Program};
use embedded_io_async::{Read, Write};
use hv::{DomId, Instant, ShutdownReason};
use net::{AddressSetting, IpAddress, IpEndpoint, Net, TcpStream};
use sim::storage::XVDA;
use sim::{
    Blkback, BlkbackConfig, Consoled, Disk, Dom, DomainConfig, Ended, Guest, Netback,
    NetbackConfig, Storage, Switch, SwitchConfig, Toolstack, Vif, VifConfig, World, machine,
};

/// In place of `boot`'s, which makes it what an image runs.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        pub(crate) async fn run(app: App) -> ShutdownReason {
            $main(app).await
        }
    };
}

#[path = "../../../boot/examples/blockcopy.rs"]
#[expect(unused_attributes, reason = "it is a crate elsewhere")]
mod blockcopy;
#[path = "../../../boot/examples/echo.rs"]
#[expect(unused_attributes, reason = "it is a crate elsewhere")]
mod echo;
#[path = "../../../boot/examples/webserver.rs"]
#[expect(unused_attributes, reason = "it is a crate elsewhere")]
mod webserver;

const PROGRAM: DomId = sim::storage::GUEST;
const PEER: DomId = DomId(77);
/// Bytes of each disk.
const SIZE: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// A domain that runs a program, and another to speak to it.
struct Bench {
    world: World,
    console: Consoled,
    program: Rc<Program<Dom>>,
    peer: Guest,
    net: Net,
    _switch: Switch,
    _backs: [Netback; 2],
    disks: [Disk; 2],
    _serve: [Blkback; 2],
}

impl Bench {
    /// The program has an address, and two disks with the same bytes but for the first.
    fn new<F>(command_line: &str, main: impl FnOnce(App) -> F) -> Self
    where
        F: Future<Output = ShutdownReason> + 'static,
    {
        let world = World::new(5);
        let toolstack = Toolstack::start(&world);
        let dom = toolstack.create_domain(PROGRAM, "program", DomainConfig::default());
        let console = Consoled::start(&world, PROGRAM);
        let peer = Guest::with_network(&world, &toolstack, PEER, DomainConfig::default(), 1);
        let netfront = peer.netfront.as_ref().expect("a frontend");
        let setting = AddressSetting::parse("10.0.0.2/24").expect("an address");
        let net = Net::start(&peer.pv, netfront, vec![setting]);
        let switch = Switch::start(&world, SwitchConfig::default());
        let backs = [PROGRAM, PEER].map(|guest| {
            let (backend, devid) = (DomId(0), 0);
            let vif = Vif {
                guest,
                backend,
                devid,
            };
            let keys = VifConfig::default();
            let back = Netback::attach(&world, &toolstack, vif, &keys, NetbackConfig::default());
            let _port = switch.plug(&back);
            back
        });
        let disks = [1, 2].map(|first| {
            let mut bytes: Vec<u8> = (0..SIZE).map(|at| ((at * at) >> 8) as u8).collect();
            bytes[0] = first;
            Disk::with(&bytes)
        });
        let vbd = |index: u32, disk| {
            let vbd = Storage::vbd(XVDA + 16 * index);
            Blkback::attach(&world, &toolstack, vbd, disk, BlkbackConfig::default())
        };
        let serve = [vbd(0, &disks[0]), vbd(1, &disks[1])];
        let line = format!("ip=10.0.0.1/24 {command_line}");
        let program = Rc::new(Program::start(dom.clone(), &line, main));
        let running = program.clone();
        world.run_domain(&dom, move || turn(&running));
        Self {
            world,
            console,
            program,
            peer,
            net,
            _switch: switch,
            _backs: backs,
            disks,
            _serve: serve,
        }
    }

    fn until_shown(&self, text: &str) {
        let shown = |_: &sim::Xen| self.console.output().contains(text);
        if let Err(stop) = self.world.run_until(shown, PATIENCE) {
            panic!("{stop}\n{}", self.console.output());
        }
    }

    fn until_ended(&self) -> Option<Ended> {
        let ended = |_: &sim::Xen| self.world.ended(PROGRAM).is_some();
        if let Err(stop) = self.world.run_until(ended, PATIENCE) {
            panic!("{stop}\n{}", self.console.output());
        }
        self.world.ended(PROGRAM)
    }

    /// Runs `ask` in the peer, connected to the program's `port`.
    fn ask<T: 'static>(&self, port: u16, ask: impl AsyncFnOnce(TcpStream) -> T + 'static) -> T {
        // Both interfaces are to be up.
        let settled = self.world.run_for(Duration::from_secs(2));
        settled.unwrap_or_else(|stop| panic!("{stop}"));
        let net = self.net.clone();
        let asked = self.peer.run(&self.world, async move {
            let to = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), port);
            ask(net.connect(to).await.expect("a connection")).await
        });
        asked.unwrap_or_else(|stop| panic!("{stop}\n{}", self.console.output()))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.program.pv.exec.drop_tasks();
    }
}

/// One pass of the run loop, as `boot` has it.
fn turn(program: &Program<Dom>) -> Option<Instant> {
    machine::follow(&program.pv.hv, program.turn())
}

/// All that comes until the other end has no more to say.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 2000]);
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        all.extend_from_slice(&piece[..length]);
    }
    all
}

#[test]
fn what_is_sent_to_echo_comes_back() {
    let bench = Bench::new("", echo::run);
    bench.until_shown("echo at port 7");
    let back = bench.ask(7, async |mut stream: TcpStream| {
        stream.write_all(b"hello, stone").await.expect("it is sent");
        stream.close().await.expect("it is heard");
        rest(&mut stream).await
    });
    assert_eq!(back, b"hello, stone");
    bench.until_shown("is gone, after 12 bytes");
}

#[test]
fn blockcopy_copies_and_says_the_sum() {
    let bench = Bench::new("app=\"xbd0 xbd1\"", blockcopy::run);
    assert_eq!(
        bench.until_ended(),
        Some(Ended::Shutdown(ShutdownReason::Poweroff))
    );
    let [from, to] = &bench.disks;
    let bytes = from.bytes(0, SIZE);
    assert!(bytes == to.bytes(0, SIZE));
    let sum = <sha2::Sha256 as sha2::Digest>::digest(bytes);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = bench.console.output();
    assert!(
        output.contains(&format!("16777216 bytes from xbd0 to xbd1, SHA-256 {sum}")),
        "{output}"
    );
}

#[test]
fn blockcopy_says_what_it_cannot_copy() {
    for (line, why) in [
        ("", "app=\"FROM TO\""),
        ("app=\"xbd0 xbd7\"", "xbd7: ENOENT"),
        ("app=\"xbd0 md0\" md=small:8k", "md0 at 0: "),
    ] {
        let bench = Bench::new(line, blockcopy::run);
        bench.until_ended();
        let output = bench.console.output();
        assert!(
            output.contains("failed: ") && output.contains(why),
            "{output}"
        );
    }
}

#[test]
fn the_web_server_says_what_disks_there_are() {
    let bench = Bench::new("", webserver::run);
    bench.until_shown("a web server at port 80");
    for (path, status) in [("/", "200 OK"), ("/else", "404 Not Found")] {
        let answer = bench.ask(80, async move |mut stream: TcpStream| {
            let get = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(get.as_bytes()).await.expect("it is sent");
            String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
        });
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{answer}"
        );
        assert_eq!(
            answer.contains("xbd1: 16777216 bytes"),
            path == "/",
            "{answer}"
        );
    }
}
