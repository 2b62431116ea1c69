//! A host with a network interface that a harness sends frames to.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use exec::{Executor, Log, Notify};
use hv::Instant;
use net::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use net::smoltcp::time;
use net::{AddressSetting, Net, Surroundings, Wire};

/// 02:00:00:00:00:01 is the host, at 10.0.0.1; 02:00:00:00:00:02 a neighbour, at 10.0.0.2.
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const NEIGHBOUR: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Its address, its gateway, and its name server.
const ADDRESS: &str = "10.0.0.1/24,10.0.0.2,10.0.0.2";

/// What the host is plugged into.
#[derive(Default)]
struct Line {
    inbox: RefCell<VecDeque<Vec<u8>>>,
    sent: RefCell<Vec<Vec<u8>>>,
    changed: Notify,
}

struct Cable(Rc<Line>);

struct Received(Vec<u8>);

struct Sending<'a>(&'a Line);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.sent.borrow_mut().push(frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: time::Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.0.inbox.borrow_mut().pop_front()?;
        Some((Received(frame), Sending(&self.0)))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Sending<'_>> {
        Some(Sending(&self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl Wire for Cable {
    fn name(&self) -> &str {
        "xn0"
    }
    fn mac(&self) -> [u8; 6] {
        HOST
    }
    fn carrier(&self) -> bool {
        true
    }
    fn is_gone(&self) -> bool {
        false
    }
    fn address_hint(&self) -> Option<String> {
        None
    }
    async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

/// A host whose wire is the harness.
pub(crate) struct Host {
    pub(crate) exec: Executor,
    pub(crate) net: Net,
    line: Rc<Line>,
    now: Rc<Cell<u64>>,
}

impl Host {
    /// At 10.0.0.1, with a listener at TCP port 80, an echo at UDP port 53, and the neighbour as
    /// its name server.
    pub(crate) fn new() -> Self {
        let (exec, now) = (Executor::new(), Rc::new(Cell::new(0)));
        let (stamp, clock) = (now.clone(), now.clone());
        let net = Net::assemble(Surroundings {
            exec: exec.clone(),
            log: Log::new(move || Instant(stamp.get())),
            memory: 16 << 20,
            free: Box::new(|| 16 << 20),
            random: Box::new(|| 0x1234_5678_9abc_def0),
            clock: Box::new(move || (Instant(clock.get()), Duration::from_nanos(clock.get()))),
            addresses: AddressSetting::parse(ADDRESS).into_iter().collect(),
        });
        let line = Rc::new(Line::default());
        net.attach(Cable(line.clone()));
        let (mut listener, mut udp) = (net.listen(80).expect("free"), net.udp(53).expect("free"));
        exec.spawn("tcp", async move {
            loop {
                drop(listener.accept().await);
            }
        });
        exec.spawn("udp", async move {
            let mut bytes = [0; 64];
            loop {
                let (count, from) = udp.receive(&mut bytes).await;
                let _sent = udp.send(&bytes[..count], from).await;
            }
        });
        Self {
            exec,
            net,
            line,
            now,
        }
    }

    /// Lets time pass; panics if it takes more than `turns`.
    pub(crate) fn run_for(&self, time: Duration, turns: u32) {
        let end = Instant(self.now.get()).after(time);
        let mut left = turns;
        loop {
            left = left.checked_sub(1).expect("the host rests");
            if self.exec.turn(Instant(self.now.get())) {
                continue;
            }
            match self.exec.next_deadline() {
                Some(next) if next <= end => self.now.set(next.0.max(self.now.get())),
                _ => break,
            }
        }
        self.now.set(end.0);
    }

    /// A frame comes.
    pub(crate) fn deliver(&self, frame: &[u8]) {
        self.line.inbox.borrow_mut().push_back(frame.to_vec());
        self.line.changed.notify();
    }

    /// What it has sent since the last look.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.line.sent.take()
    }

    /// The neighbour says where it is.
    pub(crate) fn meet(&self) {
        let mut arp = [&HOST[..], &NEIGHBOUR, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
        arp.extend([&NEIGHBOUR[..], &[10, 0, 0, 2], &[0; 6], &[10, 0, 0, 1]].concat());
        self.deliver(&arp);
    }

    /// Whether it still answers an echo request of the neighbour's, byte for byte.
    ///
    /// # Panics
    /// If it does not.
    pub(crate) fn echoes(&self) {
        self.meet();
        // With the sums that they have.
        let ip = [0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 1, 0x26, 0xdb];
        let icmp = [8, 0, 0xf5, 0xfe, 0, 0, 0, 0, 1, 1, 1, 0];
        let mut echo = [&HOST[..], &NEIGHBOUR, &[8, 0]].concat();
        echo.extend([&ip[..], &[10, 0, 0, 2, 10, 0, 0, 1], &icmp].concat());
        self.line.sent.borrow_mut().clear();
        self.deliver(&echo);
        self.run_for(Duration::from_secs(5), 5000);
        let sent = self.line.sent.borrow();
        let answered = sent.iter().any(|frame| {
            frame.len() >= 46
                && frame[..6] == NEIGHBOUR
                && frame[23] == 1
                && frame[34] == 0
                && frame[42..46] == icmp[8..12]
        });
        assert!(answered, "{sent:02x?}");
    }
}
