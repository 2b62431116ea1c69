//! Several guests with the shipped network stack, on one switch.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use embedded_io_async::{Read, Write};
use hv::DomId;
use net::{IpAddress, IpEndpoint, Net, NetError, TcpStream};

use crate::guest::Holdings;
use crate::{
    DomainConfig, Guest, Netback, NetbackConfig, Switch, SwitchConfig, Toolstack, Vif, VifConfig,
    World,
};

/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Guests on one switch. Guest `n`, from 0, is domain `n + 1` and has the address 10.0.0.`n + 1`.
pub struct Lan {
    /// The guests.
    pub guests: Vec<Guest>,
    /// Their backends.
    pub backends: Vec<Netback>,
    /// What they are plugged into.
    pub switch: Switch,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl Lan {
    /// So many guests with 64 MiB each, whose vifs are up.
    #[must_use]
    pub fn new(seed: u64, count: u16, line: SwitchConfig, config: &NetbackConfig) -> Self {
        let addresses = (1..=count).map(|number| format!("xn0:10.0.0.{number}/24"));
        Self::with_addresses(seed, addresses, line, config)
    }

    /// As [`new`](Self::new), a guest for each of these addresses, which are as `ip=` has them.
    #[must_use]
    pub fn with_addresses(
        seed: u64,
        addresses: impl IntoIterator<Item = String>,
        line: SwitchConfig,
        config: &NetbackConfig,
    ) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let switch = Switch::start(&world, line);
        let memory = DomainConfig {
            pages: 16384,
            ..DomainConfig::default()
        };
        let mut lan = Self {
            guests: Vec::new(),
            backends: Vec::new(),
            switch,
            toolstack,
            world,
        };
        for (number, address) in (1..).zip(addresses) {
            let (world, toolstack) = (&lan.world, &lan.toolstack);
            let guest = Guest::with_stack(world, toolstack, DomId(number), memory, &address);
            let vif = Vif {
                guest: DomId(number),
                backend: DomId(0),
                devid: 0,
            };
            let keys = VifConfig::default();
            let netback = Netback::attach(world, toolstack, vif, &keys, config.clone());
            let _port = lan.switch.plug(&netback);
            lan.guests.push(guest);
            lan.backends.push(netback);
        }
        lan.until("all are up", |lan| {
            let nets = lan.guests.iter().filter_map(|guest| guest.net.as_ref());
            nets.clone().count() == lan.guests.len()
                && nets.flat_map(Net::interfaces).filter(|i| i.up).count() == lan.guests.len()
        });
        lan
    }

    /// A guest's network.
    ///
    /// # Panics
    /// If there is no such guest.
    #[must_use]
    pub fn net(&self, guest: usize) -> Net {
        let net = self.guests.get(guest).and_then(|guest| guest.net.clone());
        net.expect("a guest of this network")
    }

    /// Where a guest can be reached.
    #[must_use]
    pub fn endpoint(guest: usize, port: u16) -> IpEndpoint {
        let [number, ..] = (guest + 1).to_le_bytes();
        IpEndpoint::new(IpAddress::v4(10, 0, 0, number), port)
    }

    /// Starts a task of a guest.
    ///
    /// # Panics
    /// If there is no such guest.
    pub fn spawn(&self, guest: usize, task: impl Future<Output = ()> + 'static) {
        let guest = self.guests.get(guest).expect("a guest of this network");
        guest.pv.exec.spawn("test", task);
        self.world.wake_domain(guest.dom.id());
    }

    /// Serves at `port` of guest 0: takes a stream to its end, and answers with another one as
    /// long.
    ///
    /// One direction after the other: smoltcp 0.14 does not recover where both ends of a connection
    /// time out at the same moment, since each then takes the other's acknowledgements for old
    /// ones. Such a connection is reset after a minute of silence.
    ///
    /// # Panics
    /// If the port is not free.
    pub fn serve_answers(&self, port: u16) {
        let mut listener = self.net(0).listen(port).expect("the port is free");
        let exec = self.guests[0].pv.exec.clone();
        self.spawn(0, async move {
            loop {
                let (stream, _) = listener.accept().await;
                exec.spawn("answer", async move {
                    // A client may go in the middle: that is its own affair.
                    let _ended = answer(stream).await;
                });
            }
        });
    }

    /// What a guest holds now.
    ///
    /// # Panics
    /// If there is no such guest.
    #[must_use]
    pub fn holdings(&self, guest: usize) -> Holdings {
        let guest = self.guests.get(guest).expect("a guest of this network");
        guest.holdings(&self.toolstack)
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken, with the guests' logs.
    pub fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.logs());
        }
    }

    /// Runs until `done` holds.
    ///
    /// # Panics
    /// If it does not come true, with what was awaited and the guests' logs.
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        if let Err(stop) = self.world.run_until(|_| done(self), PATIENCE) {
            panic!("{what}: {stop}\n{}", self.logs());
        }
    }

    fn logs(&self) -> String {
        let logs = self.guests.iter().map(|guest| guest.log().join("\n"));
        logs.collect::<Vec<_>>().join("\n--\n")
    }
}

/// The byte at `offset` of stream `number`.
fn byte(number: u64, offset: u64) -> u8 {
    let word = (number ^ (offset / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(23);
    word.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes()[usize::try_from(offset % 8).unwrap_or(0)]
}

/// Takes a stream behind its number, and answers with the one of the inverted number.
async fn answer(mut stream: TcpStream) -> Result<(), NetError> {
    let mut number = [0; 8];
    let begun = stream.read_exact(&mut number).await;
    begun.map_err(|_| NetError::Reset)?;
    let number = u64::from_be_bytes(number);
    let length = read_stream(&mut stream, number, u64::MAX, &Rc::default()).await?;
    write_stream(&mut stream, !number, length).await?;
    stream.close().await
}

/// Writes `length` bytes of stream `number`.
///
/// # Errors
/// What the network says.
pub async fn write_stream(
    to: &mut impl Write<Error = NetError>,
    number: u64,
    length: u64,
) -> Result<(), NetError> {
    write_part(to, number, 0..length).await
}

/// Writes a part of stream `number`.
///
/// # Errors
/// What the network says.
pub async fn write_part(
    to: &mut impl Write<Error = NetError>,
    number: u64,
    part: Range<u64>,
) -> Result<(), NetError> {
    let mut offset = part.start;
    while offset < part.end {
        let count = (part.end - offset).min(16384);
        let bytes: Vec<u8> = (offset..offset + count)
            .map(|at| byte(number, at))
            .collect();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let written = to.write(rest).await?;
            rest = &rest[written..];
        }
        offset += count;
    }
    Ok(())
}

/// Reads up to `length` bytes, which must be those of stream `number`; how many came before the
/// end.
///
/// # Errors
/// What the network says.
///
/// # Panics
/// If a byte is another one: TCP must not do that.
pub async fn read_stream(
    from: &mut impl Read<Error = NetError>,
    number: u64,
    length: u64,
    sum: &Rc<Cell<u64>>,
) -> Result<u64, NetError> {
    let mut offset = 0;
    let mut bytes = vec![0; 16384];
    while offset < length {
        let want = usize::try_from((length - offset).min(16384)).unwrap_or(16384);
        let count = from.read(&mut bytes[..want]).await?;
        if count == 0 {
            break;
        }
        for value in &bytes[..count] {
            let right = byte(number, offset);
            assert_eq!(*value, right, "byte {offset} of stream {number}");
            offset += 1;
        }
        sum.set(sum.get() + count as u64);
    }
    Ok(offset)
}
