//! The page as another domain sees it: over two network frontends, their backends and a switch.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::{Read, Write};
use hv::DomId;
use net::{AddressSetting, IpAddress, IpEndpoint, Net, TcpStream};
use shell::command::Parts;
use sim::{
    Dom, DomainConfig, Guest, Netback, NetbackConfig, Switch, SwitchConfig, Toolstack, Vif,
    VifConfig, World,
};

const PAGE: DomId = DomId(1);
const BROWSER: DomId = DomId(2);

/// A domain with a page, one that looks at it, and the switch between them.
struct Bench {
    world: World,
    page: Guest,
    browser: Guest,
    net: Net,
    _switch: Switch,
    _backs: [Netback; 2],
}

fn address(domain: DomId) -> IpAddress {
    let [_, last] = domain.0.to_be_bytes();
    IpAddress::v4(10, 0, 0, last)
}

impl Bench {
    fn new(switch: SwitchConfig, token: Option<&str>) -> Self {
        let world = World::new(7);
        let toolstack = Toolstack::start(&world);
        let switch = Switch::start(&world, switch);
        let start = |id: DomId| {
            let config = DomainConfig::default();
            let guest = Guest::with_network(&world, &toolstack, id, config, 1);
            let setting = AddressSetting::parse(&format!("{}/24", address(id)));
            let netfront = guest.netfront.as_ref().expect("a frontend");
            let net = Net::start(&guest.pv, netfront, vec![setting.expect("a setting")]);
            let vif = Vif {
                guest: id,
                backend: DomId(0),
                devid: 0,
            };
            let (keys, config) = (VifConfig::default(), NetbackConfig::default());
            let back = Netback::attach(&world, &toolstack, vif, &keys, config);
            let _port = switch.plug(&back);
            (guest, net, back)
        };
        let (mut page, served, first) = start(PAGE);
        let (browser, net, second) = start(BROWSER);
        page.serve(Default::default());
        let parts: Parts<Dom> = Parts {
            pv: page.pv.clone(),
            balloon: Default::default(),
            store: page.store.clone(),
            geom: page.geom.clone(),
            blkback: page.blkback.clone().expect("a backend"),
            net: served.clone(),
            pcifront: pcifront::Pcifront::start(&page.pv, &page.store, Vec::new()),
            nvme: nvme::Nvme::new(&page.pv, &page.geom),
        };
        let token = token.map(String::from);
        page.pv
            .exec
            .spawn("page", page::serve(parts, served, 80, token));
        let bench = Self {
            world,
            page,
            browser,
            net,
            _switch: switch,
            _backs: [first, second],
        };
        bench.run_for(Duration::from_secs(5));
        bench
    }

    fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.page.log().join("\n"));
        }
    }

    /// Runs `ask` in the browser's domain, to its end.
    fn browse<T: 'static>(&self, ask: impl AsyncFnOnce(Net) -> T + 'static) -> T {
        let asked = self.browser.run(&self.world, ask(self.net.clone()));
        asked.unwrap_or_else(|stop| panic!("{stop}\n{}", self.page.log().join("\n")))
    }

    /// How many clients the page serves.
    fn clients(&self) -> usize {
        let tasks = self.page.pv.exec.tasks();
        tasks
            .iter()
            .filter(|task| task.name == "page client")
            .count()
    }
}

async fn connect(net: &Net) -> TcpStream {
    let to = IpEndpoint::new(address(PAGE), 80);
    net.connect(to).await.expect("a connection")
}

/// Sends `text`; what comes until the server ends the connection.
async fn exchange(net: &Net, text: &str) -> String {
    let mut stream = connect(net).await;
    stream.write_all(text.as_bytes()).await.expect("it is sent");
    String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 2000]);
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        all.extend_from_slice(&piece[..length]);
    }
    all
}

const CLOSE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_browser_gets_the_page_over_good_lines_and_bad() {
    for switch in [SwitchConfig::default(), SwitchConfig::bad()] {
        let bench = Bench::new(switch, None);
        let got = bench.browse(async |net| exchange(&net, CLOSE).await);
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
        assert!(got.ends_with("</body></html>\n"), "{got}");
        assert!(
            got.contains("10.0.0.1/24") && got.contains("netfront"),
            "{got}"
        );
        bench.run_for(Duration::from_secs(60));
        assert_eq!(bench.clients(), 0);
    }
}

#[test]
fn a_pipeline_over_one_connection_is_answered_in_order() {
    let bench = Bench::new(SwitchConfig::default(), Some("s3cret"));
    let got = bench.browse(async |net| {
        let run = "POST /run HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\
            Content-Length: 18\r\n\r\nxenstore read name";
        let json = CLOSE.replace("GET /", "GET /status.json");
        exchange(
            &net,
            &[run, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", &json].concat(),
        )
        .await
    });
    let answers: Vec<&str> = got.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(answers.len(), 3, "{got}");
    assert!(
        answers[0].ends_with("\r\n6\r\nguest\n\r\n0\r\n\r\n"),
        "{got}"
    );
    assert!(answers[1].starts_with("404 "), "{got}");
    let (_, json) = answers[2].split_once("\r\n\r\n").expect("a body");
    let status: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let addresses = status["interfaces"][0]["addresses"].as_array();
    assert!(addresses.expect("a list").contains(&"10.0.0.1/24".into()));
}

#[test]
fn h12_clients_that_say_nothing_or_little_are_let_go() {
    let bench = Bench::new(SwitchConfig::default(), None);
    let got = bench.browse(async |net| {
        let _silent = connect(&net).await;
        exchange(&net, "GET / HT").await
    });
    assert!(got.starts_with("HTTP/1.1 408 "), "{got}");
    bench.run_for(Duration::from_secs(60));
    assert_eq!(bench.clients(), 0);
}

#[test]
fn h11_an_address_that_connects_too_often_is_told_to_come_again() {
    let bench = Bench::new(SwitchConfig::default(), None);
    let held = Rc::new(RefCell::new(Vec::new()));
    let holding = held.clone();
    let got = bench.browse(async move |net| {
        for _ in 0..8 {
            let stream = connect(&net).await;
            holding.borrow_mut().push(stream);
        }
        let mut more = connect(&net).await;
        rest(&mut more).await
    });
    let got = String::from_utf8_lossy(&got).into_owned();
    assert!(got.starts_with("HTTP/1.1 503 "), "{got:?}");
    assert_eq!(bench.clients(), 8);
    held.borrow_mut().clear();
    bench.run_for(Duration::from_secs(60));
    assert_eq!(bench.clients(), 0);
    let got = bench.browse(async |net| exchange(&net, CLOSE).await);
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
}

#[test]
fn a_capture_has_what_passes_but_not_itself() {
    let bench = Bench::new(SwitchConfig::default(), Some("s3cret"));
    let got = bench.browse(async |net| {
        let mut stream = connect(&net).await;
        let text = "GET /capture.pcap?seconds=3 HTTP/1.0\r\n\
            Authorization: Bearer s3cret\r\n\r\n";
        stream.write_all(text.as_bytes()).await.expect("it is sent");
        // Once something has come it captures.
        let mut got = vec![0; 100];
        stream.read_exact(&mut got).await.expect("a head");
        for _ in 0..3 {
            let refused = net.connect(IpEndpoint::new(address(PAGE), 81)).await;
            assert!(refused.is_err());
        }
        got.extend(rest(&mut stream).await);
        got
    });
    let head = got
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head");
    let mut packets = got[head + 4..].get(24..).expect("a file");
    assert_eq!(got[head + 4..][..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let (mut count, mut ports) = (0, Vec::new());
    while !packets.is_empty() {
        let length = u32::from_le_bytes(packets[8..12].try_into().expect("a length")) as usize;
        let frame = &packets[16..16 + length];
        if frame[12..14] == [8, 0] && frame[23] == 6 {
            ports.push((frame[34..36].to_vec(), frame[36..38].to_vec()));
        }
        packets = &packets[16 + length..];
        count += 1;
    }
    assert!(count >= 6, "{count}");
    let of = |port: u8| {
        ports
            .iter()
            .filter(move |(a, b)| [a, b].contains(&&vec![0, port]))
    };
    assert_eq!((of(80).count(), of(81).count()), (0, 6));
}

#[test]
fn h04_garbage_is_refused_and_the_connection_ends() {
    let bench = Bench::new(SwitchConfig::default(), None);
    let got = bench.browse(async |net| {
        exchange(
            &net,
            &["\u{16}\u{3}\u{1}\u{2}", &"x".repeat(20_000)].concat(),
        )
        .await
    });
    assert!(got.starts_with("HTTP/1.1 400 "), "{got}");
    let large = "POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n";
    let got =
        bench.browse(async move |net| exchange(&net, &[large, &"x".repeat(30_000)].concat()).await);
    assert!(got.starts_with("HTTP/1.1 413 "), "{got}");
}
