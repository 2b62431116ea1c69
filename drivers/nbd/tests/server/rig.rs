//! A server with disks, and time that a test moves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use exec::Executor;
use geom::disk::{DiskHandle, DiskParams};
use geom::{Geom, Params};
use hv::Instant;
use nbd::{Export, Limits, Server};

use crate::client::Client;
use crate::disk::{Driver, Media};
use crate::stream::{Half, Wire};

pub(crate) const SIZE: usize = 2 << 20;

pub(crate) struct Rig {
    pub(crate) geom: Geom,
    pub(crate) exec: Executor,
    pub(crate) media: Rc<Media>,
    pub(crate) disk: DiskHandle,
    pub(crate) server: Server,
    now: Cell<Duration>,
}

/// Bytes that tell where they are.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let byte = |at: u64| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        (0..SIZE as u64).map(byte).collect()
    });
    let times = length.div_ceil(SIZE);
    let mut bytes = WHOLE.repeat(times);
    bytes.truncate(length);
    bytes
}

pub(crate) fn params(unit: u32, size: usize) -> DiskParams {
    let mut params = DiskParams::new("xbd", unit, size as u64);
    params.limits.max_io = 64 << 10;
    params.limits.can_flush = true;
    params.limits.can_delete = true;
    params
}

fn make(geom: &Geom, params: DiskParams) -> (Rc<Media>, DiskHandle) {
    let media = Rc::new(Media::default());
    media.bytes.replace(pattern(params.media_size as usize));
    let disk = geom.disk_create(params, Box::new(Driver(media.clone())));
    (media, disk.expect("sound parameters"))
}

impl Rig {
    /// One disk `xbd0` of [`SIZE`], exported as `disk` and, not to be written, as `fixed`; and an
    /// export `absent` of a provider that is not there.
    pub(crate) fn new() -> Self {
        Self::with(params(0, SIZE), Limits::default())
    }

    pub(crate) fn with(params: DiskParams, limits: Limits) -> Self {
        Self::served(params, |geom, exec, exports| {
            Server::with_limits(geom, exec, exports, limits)
        })
    }

    pub(crate) fn served(
        params: DiskParams,
        serve: impl FnOnce(&Geom, &Executor, Vec<Export>) -> Server,
    ) -> Self {
        let geom = Geom::new(Params::default());
        let exec = Executor::new();
        let (media, disk) = make(&geom, params);
        let exports = [
            ("disk", "xbd0", false),
            ("fixed", "xbd0", true),
            ("absent", "xbd7", false),
            ("other", "xbd1", false),
        ];
        let exports = exports.map(|(name, provider, read_only)| Export {
            name: name.into(),
            provider: provider.into(),
            read_only,
        });
        let server = serve(&geom, &exec, exports.into());
        let rig = Self {
            geom,
            exec,
            media,
            disk,
            server,
            now: Cell::new(Duration::ZERO),
        };
        rig.run();
        rig
    }

    /// A second disk `xbd1`, exported as `other`.
    pub(crate) fn second_disk(&self) -> (Rc<Media>, DiskHandle) {
        self.new_disk(params(1, SIZE))
    }

    /// Another disk.
    pub(crate) fn new_disk(&self, params: DiskParams) -> (Rc<Media>, DiskHandle) {
        let made = make(&self.geom, params);
        self.run();
        made
    }

    /// Ends what the disk holds, and lets it hold nothing more.
    pub(crate) fn release(&self) {
        self.media.hold.set(false);
        self.media.finish_all();
        self.run();
    }

    /// Runs until nothing is left to do now.
    pub(crate) fn run(&self) {
        for _ in 0..100_000 {
            let now = self.now.get();
            let stepped = self.geom.step(now);
            let more = self.exec.turn(Instant(now.as_nanos() as u64));
            if !more && !stepped && self.exec.tasks().iter().all(|task| !task.ready) {
                self.geom.check().expect("the laws of GEOM");
                return;
            }
        }
        panic!("the server does not come to rest");
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.now.set(self.now.get() + time);
        self.run();
    }

    /// A client that has said nothing.
    pub(crate) fn connect(&self) -> Client<'_> {
        self.connect_from(1)
    }

    /// The same, of another peer.
    pub(crate) fn connect_from(&self, peer: u8) -> Client<'_> {
        let peer = [10, 0, 0, peer].into();
        let wire = Wire::new();
        let result = Rc::new(Cell::new(None));
        let (server, halves) = (
            self.server.clone(),
            (Half(wire.clone()), Half(wire.clone())),
        );
        let ended = result.clone();
        self.exec.spawn("client", async move {
            ended.set(Some(server.serve(peer, halves.0, halves.1).await));
        });
        self.run();
        Client {
            rig: self,
            wire,
            result,
            structured: false,
        }
    }

    /// A client that has chosen an export.
    pub(crate) fn client(&self, export: &str, structured: bool) -> Client<'_> {
        let mut client = self.connect();
        client.go(export, structured);
        client
    }

    /// That nothing is left of any client.
    pub(crate) fn assert_quiet(&self) {
        assert_eq!(self.exec.tasks(), []);
        assert_eq!(self.geom.counters().requests, 0);
        let counts = |provider: geom::ProviderInfo| provider.counts.to_string();
        let counts: Vec<String> = self.geom.providers().into_iter().map(counts).collect();
        assert!(counts.iter().all(|counts| counts == "r0w0e0"), "{counts:?}");
    }
}
