//! A domain with two disks, two clients and a network, for the tests.

use std::rc::Rc;
use std::time::Duration;

use blkback::ExportUse;
use blkback::statistics::Statistics;
use exec::{Executor, Log, TaskUse, info, warn};
use geom::disk::{Command, Disk, DiskBio, DiskParams};
use geom::{Access, Device, Errno, Geom, Params};
use hv::{DomId, Instant, MemoryUse, Port};
use net::{Connections, InterfaceStatus, IpAddress, IpCidr, IpEndpoint, SocketStatus, Transport};
use pv::{GrantUse, PortUse};
use xenbus::state::XenbusState;

use crate::devices::{DeviceState, Devices};
use crate::history::History;
use crate::snapshot::{Facts, Snapshot};

const SECTOR: usize = 512;

/// A disk of these bytes, which reads as zeros beyond them.
struct Image(Vec<u8>);

impl Disk for Image {
    fn strategy(&mut self, bio: DiskBio) {
        let mut bytes = vec![0; bio.length as usize];
        let from = self.0.get(bio.offset as usize..).unwrap_or_default();
        let known = from.len().min(bytes.len());
        bytes[..known].copy_from_slice(&from[..known]);
        let result = match bio.command {
            Command::Read => bio.data.write(0, &bytes).map_err(|_| Errno::Io),
            _ => Ok(()),
        };
        bio.complete(result);
    }

    fn gone(self: Box<Self>) {}
}

/// A GUID partition table (UEFI 2.10, 5.3): first sector, last sector, label.
fn gpt(sectors: u64, partitions: &[(u64, u64, &str)]) -> Vec<u8> {
    let mut image = vec![0; sectors as usize * SECTOR];
    image[450] = 0xee;
    image[454..458].copy_from_slice(&1u32.to_le_bytes());
    image[458..462].copy_from_slice(&(sectors as u32 - 1).to_le_bytes());
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut entries = vec![0; 128 * 128];
    // Linux filesystem data, as the disk has it.
    let linux = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4_u128.to_be_bytes();
    let mixed = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map(|at| linux[at]);
    for (at, (first, last, label)) in partitions.iter().enumerate() {
        let entry = &mut entries[at * 128..][..128];
        entry[..16].copy_from_slice(&mixed);
        entry[16..32].copy_from_slice(&[at as u8 + 1; 16]);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
        for (at, unit) in label.encode_utf16().enumerate() {
            entry[56 + 2 * at..][..2].copy_from_slice(&unit.to_le_bytes());
        }
    }
    let header = |own: u64, other: u64, table: u64| {
        let mut header = [0; 92];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..16].copy_from_slice(&[0, 0, 1, 0, 92, 0, 0, 0]);
        for (at, value) in [
            (24, own),
            (32, other),
            (40, 34),
            (48, sectors - 34),
            (72, table),
        ] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        header[56..72].copy_from_slice(&[7; 16]);
        header[80..88].copy_from_slice(&[128, 0, 0, 0, 128, 0, 0, 0]);
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let sum = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    };
    let mut place = |sector: u64, bytes: &[u8]| {
        image[sector as usize * SECTOR..][..bytes.len()].copy_from_slice(bytes);
    };
    place(1, &header(1, sectors - 1, 2));
    place(2, &entries);
    place(sectors - 33, &entries);
    place(sectors - 1, &header(sectors - 1, 1, sectors - 33));
    image
}

fn disk(geom: &Geom, unit: u32, image: Vec<u8>, serial: &str) {
    let mut params = DiskParams::new("xbd", unit, image.len() as u64);
    params.ident = serial.into();
    params.description = "Xen block device".into();
    let handle = geom.disk_create(params, Box::new(Image(image)));
    std::mem::forget(handle.expect("a disk"));
}

/// The graph: a disk of three partitions, one of them held twice, and a disk without a table.
fn graph() -> (Geom, Vec<Device>) {
    let geom = Geom::new(Params::default());
    let sectors = 64 << 11;
    let table = [
        (2048, 18431, "system"),
        (18432, 100_351, "web & data"),
        (100_352, sectors - 2048, "swap"),
    ];
    disk(&geom, 0, gpt(sectors, &table), "51712");
    disk(&geom, 1, vec![0; 16 << 20], "51728");
    geom.md_create(&geom::class::md::MdParams::new(1 << 20))
        .ok();
    geom.zero_create(8 << 40).expect("a disk of zeros");
    for _ in 0..100 {
        geom.poll(Duration::ZERO);
    }
    let open = |name: &str, access, holder: &str| geom.open_as(name, access, holder).expect(name);
    let held = vec![
        open("xbd0p2", Access::EXCLUSIVE, "blkback 3/51712"),
        open("xbd1", Access::READ, "blkback 4/51712"),
        open("xbd1", Access::READ, "nbd 192.168.1.7"),
    ];
    (geom, held)
}

fn export(domain: u16, provider: &str, read_only: bool, reads: u64) -> ExportUse {
    let mut statistics = Statistics {
        reads,
        read_bytes: reads * 16384,
        writes: reads / 3,
        written_bytes: reads * 9000,
        flushes: reads / 100,
        events: reads / 2,
        notifications: reads / 2,
        ..Statistics::default()
    };
    for (micros, times) in [
        (40, 30),
        (70, 120),
        (200, 200),
        (500, 80),
        (900, 20),
        (3000, 3),
    ] {
        for _ in 0..times {
            statistics.latency.note(Duration::from_micros(micros));
        }
    }
    ExportUse {
        frontend: DomId(domain),
        device: 51712,
        provider: provider.into(),
        read_only,
        state: XenbusState::Connected,
        statistics,
    }
}

fn interface() -> InterfaceStatus {
    let mut interface = InterfaceStatus {
        name: "xn0".into(),
        mac: [0, 0x16, 0x3e, 0x12, 0x34, 0x56],
        mtu: 1500,
        up: true,
        addresses: vec![
            IpCidr::new(IpAddress::v4(192, 168, 1, 20), 24),
            IpCidr::new(
                IpAddress::v6(0xfe80, 0, 0, 0, 0x216, 0x3eff, 0xfe12, 0x3456),
                64,
            ),
        ],
        gateways: vec![IpAddress::v4(192, 168, 1, 1)],
        dns: vec![IpAddress::v4(192, 168, 1, 1)],
        source: "dhcp",
        traffic: Default::default(),
    };
    interface.traffic.received = 123_456;
    interface.traffic.received_bytes = 98_765_432;
    interface.traffic.sent = 65_432;
    interface.traffic.sent_bytes = 1_234_567_890;
    interface
}

fn sockets() -> Vec<SocketStatus> {
    let here = IpAddress::v4(192, 168, 1, 20);
    let socket = |address, port, remote: Option<[u16; 2]>, state| SocketStatus {
        transport: Transport::Tcp,
        interface: None,
        local: (address, port),
        remote: remote.map(|[last, port]| {
            IpEndpoint::new(IpAddress::v4(192, 168, 1, last.to_be_bytes()[1]), port)
        }),
        state,
        receive_queue: 0,
        send_queue: remote.map_or(0, |_| 1448),
        memory: 0,
    };
    vec![
        socket(None, 80, None, "LISTEN"),
        socket(None, 10809, None, "LISTEN"),
        socket(Some(here), 80, Some([7, 50_412]), "ESTABLISHED"),
        socket(Some(here), 10809, Some([7, 50_420]), "ESTABLISHED"),
    ]
}

fn devices() -> Devices {
    let device = |is_backend, kind: &str, number: &str, peer: &str| DeviceState {
        is_backend,
        kind: kind.into(),
        number: number.into(),
        peer: peer.into(),
        state: XenbusState::Connected,
        peer_state: Some(XenbusState::Connected),
        error: String::new(),
    };
    let all = vec![
        device(false, "vbd", "51712", "0"),
        device(false, "vbd", "51728", "0"),
        device(false, "vif", "0", "0"),
        device(true, "vbd", "51712", "3"),
        device(true, "vbd", "51712", "4"),
    ];
    Devices { all, more: false }
}

fn log_lines(wall: Instant) -> Vec<Rc<exec::Line>> {
    let log = Log::new(move || wall);
    info!(log, "boot", "Xenolith 0.1.0, 8192 pages of memory");
    info!(log, "xbd0", "131072 sectors of 512 bytes, GPT <system>");
    warn!(log, "xbd1", "the backend has no feature-flush-cache");
    info!(log, "xn0", "192.168.1.20/24 by DHCP");
    info!(
        log,
        "blkback 3/51712", "xbd0p2: 41943040 bytes, 4 queues of 16 pages"
    );
    log.lines_from(0).collect()
}

/// What was found in the last minutes.
fn rated(mut snapshot: Snapshot) -> Snapshot {
    let mut history = History::default();
    let (mut exports, mut interfaces) = (snapshot.facts.exports, snapshot.interfaces);
    for second in 0..50u64 {
        let wave = 30 + (second * 37) % 50 + 5 * (second % 11);
        for (at, export) in exports.iter_mut().enumerate() {
            let all = &mut export.statistics;
            all.reads += wave * (3 - at as u64);
            all.read_bytes += wave * 700_000 / (1 + at as u64);
            all.writes += wave;
            all.written_bytes += wave * 200_000 * (second % 7) / 3;
        }
        let traffic = &mut interfaces[0].traffic;
        traffic.received_bytes += wave * 3000;
        traffic.sent_bytes += wave * 9000 * (second % 5);
        traffic.received += wave;
        history.look(Instant(second * 2_000_000_000), &exports, &interfaces);
    }
    snapshot.rates = history.rates().clone();
    (snapshot.facts.exports, snapshot.interfaces) = (exports, interfaces);
    snapshot
}

/// The domain, with all of it.
pub(crate) fn snapshot() -> Snapshot {
    let (geom, held) = graph();
    let port = |port, label: &str, count| PortUse {
        port: Port(port),
        label: label.into(),
        count,
        spurious: count / 50,
    };
    let now = Instant(273_906_123_456_789);
    let facts = Facts {
        now,
        wall: Duration::from_secs(1_798_761_599),
        memory: MemoryUse {
            total: 8192,
            free: 4711,
            heap_size: 4 << 20,
            heap_used: 1_234_567,
            stack_size: 64 << 10,
            stack_used: 9000,
        },
        grants: GrantUse {
            granted: 320,
            parked: 0,
            parked_ever: 12,
            free: 192,
            entries: 512,
            max_entries: 16384,
        },
        ports: vec![
            port(1, "xenstore", 1234),
            port(2, "console", 56),
            port(5, "timer", 98_765),
            port(6, "xbd0", 1_234_567),
            port(9, "xn0", 345_678),
            port(11, "blkback 3/51712", 2_345_678),
        ],
        exports: vec![
            export(3, "xbd0p2", false, 123_456),
            export(4, "xbd1", true, 999),
        ],
    };
    let task = |name| TaskUse { name, ready: false };
    let tasks = [
        "xenstore", "blkfront", "disk", "disk", "blkback", "export", "export", "shell",
    ];
    let snapshot = Snapshot {
        name: "storage".into(),
        domain: Some(DomId(7)),
        facts,
        tasks: tasks.map(task).to_vec(),
        polls: 12_345_678,
        geoms: geom.geoms(),
        providers: geom.providers(),
        disks: geom.disks(),
        counters: geom.counters(),
        interfaces: vec![interface()],
        connections: Connections {
            count: 2,
            limit: 64,
            memory: 96 << 10,
            overflows: 0,
        },
        sockets: sockets(),
        devices: devices(),
        rates: Default::default(),
        log: log_lines(now),
        takes_commands: true,
    };
    drop(held);
    rated(snapshot)
}

/// A domain that has nothing.
pub(crate) fn empty() -> Snapshot {
    let full = snapshot();
    Snapshot {
        name: String::new(),
        domain: None,
        facts: Facts {
            exports: Vec::new(),
            ports: Vec::new(),
            memory: MemoryUse::default(),
            ..full.facts
        },
        tasks: Executor::new().tasks(),
        geoms: Vec::new(),
        providers: Vec::new(),
        disks: Vec::new(),
        interfaces: Vec::new(),
        sockets: Vec::new(),
        devices: Devices::default(),
        rates: Default::default(),
        log: Vec::new(),
        takes_commands: false,
        ..full
    }
}
