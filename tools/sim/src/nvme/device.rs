//! The controller itself: what it does when it is looked at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use hv::{DomId, Instant};

use super::config::{Malice, Namespace, NvmeConfig};
use super::queue::Queue;
use super::wire::{ACQ, AQA, ASQ, CAP, CC, CSTS, Command, DOORBELLS, FATAL, READY, VS};
use super::{admin, data, medium};
use crate::pirq::Trigger;
use crate::{Actor, ActorId, Frame, Next, World, Xen};

/// Pages of its registers.
const PAGES: usize = 4;

/// What the controller has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Flushes.
    pub flushes: u64,
    /// Blocks that were deallocated.
    pub deallocated: u64,
    /// Blocks that were zeroed.
    pub zeroed: u64,
    /// Scatter-gather lists followed.
    pub lists: u64,
    /// The largest read, in bytes.
    pub largest: usize,
    /// Aborts that were asked for.
    pub aborts: u64,
    /// Times it was enabled.
    pub enabled: u64,
    /// Times it was told to shut down.
    pub shutdowns: u64,
}

/// A controller; clones are the same one.
#[derive(Clone)]
pub struct NvmeDevice {
    xen: Xen,
    actor: ActorId,
    registers: Rc<Frame>,
    state: Rc<RefCell<State>>,
}

struct State {
    config: NvmeConfig,
    malice: Malice,
    counted: Counted,
    /// The bus lets it use memory.
    master: bool,
    fatal: bool,
    pulled: bool,
    /// What it has to report, and is asked by.
    reports: VecDeque<u32>,
    critical: u8,
}

/// How it stands.
enum Power {
    Off,
    Starting(Instant),
    On,
}

struct Model {
    dom: DomId,
    registers: Rc<Frame>,
    state: Rc<RefCell<State>>,
    power: Power,
    admin: Option<Queue>,
    io: Option<Queue>,
    /// A completion queue that was created, and waits for its submission queue.
    completions: Option<(u64, u16)>,
    /// Commands under way: when each is done, and whether it is an admin command.
    running: VecDeque<(Instant, bool, Command)>,
    /// Ids of commands that wait for something to report.
    listening: VecDeque<u16>,
    /// I/O commands that it has lost.
    lost: Vec<u16>,
    shut_down: bool,
}

impl NvmeDevice {
    /// Puts a controller into the machine and gives it to a domain, with its interrupt.
    #[must_use]
    pub fn insert(world: &World, dom: DomId, config: NvmeConfig) -> Self {
        let registers = world.add_registers(config.address, PAGES, dom);
        world.give_pirq(dom, config.pirq, config.trigger);
        let address = config.address;
        let state = Rc::new(RefCell::new(State {
            config,
            malice: Malice::default(),
            counted: Counted::default(),
            master: false,
            fatal: false,
            pulled: false,
            reports: VecDeque::new(),
            critical: 0,
        }));
        let model = Model {
            dom,
            registers: registers.clone(),
            state: state.clone(),
            power: Power::Off,
            admin: None,
            io: None,
            completions: None,
            running: VecDeque::new(),
            listening: VecDeque::new(),
            lost: Vec::new(),
            shut_down: false,
        };
        model.describe();
        let actor = world.spawn("nvme", Rc::new(RefCell::new(model)));
        world.watch_registers(address, actor);
        Self {
            xen: world.xen(),
            actor,
            registers,
            state,
        }
    }

    /// Its machine address, and its interrupt.
    #[must_use]
    pub fn place(&self) -> (u64, u32) {
        let state = self.state.borrow();
        (state.config.address, state.config.pirq)
    }

    /// What it has done.
    #[must_use]
    pub fn counted(&self) -> Counted {
        self.state.borrow().counted
    }

    /// Changes what it does that none may do.
    pub fn misbehave(&self, change: impl FnOnce(&mut Malice)) {
        let mut state = self.state.borrow_mut();
        change(&mut state.malice);
        if let Some(lie) = state.malice.capabilities {
            self.registers.poke(CAP, &lie.to_le_bytes());
        }
        self.xen.wake(self.actor);
    }

    /// The bus lets it use memory, or does not.
    pub fn set_master(&self, on: bool) {
        self.state.borrow_mut().master = on;
        self.xen.wake(self.actor);
    }

    /// Whether the bus lets it use memory.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.state.borrow().master
    }

    /// Whether it is enabled, as far as its registers say.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.registers.u32(CSTS) & READY != 0
    }

    /// It fails, and says so.
    pub fn fail(&self) {
        self.state.borrow_mut().fatal = true;
        self.xen.wake(self.actor);
    }

    /// It is pulled out of the machine: its registers read as ones.
    pub fn pull(&self) {
        self.state.borrow_mut().pulled = true;
        self.registers.poke(0, &[0xff; PAGES * 4096]);
        self.xen.remove_registers(self.place().0);
        self.xen.wake(self.actor);
    }

    /// Its namespaces are others from now on, and it reports that.
    pub fn set_namespaces(&self, namespaces: Vec<Namespace>) {
        let mut state = self.state.borrow_mut();
        state.config.namespaces = namespaces;
        state.reports.push_back(2 | 4 << 16);
        drop(state);
        self.xen.wake(self.actor);
    }

    /// Its one namespace is another from now on, and it reports nothing.
    pub fn reformat(&self, namespace: Namespace) {
        self.state.borrow_mut().config.namespaces = vec![namespace];
    }

    /// Its health is critical, and it does not report that.
    pub fn sicken_silently(&self, critical: u8) {
        self.state.borrow_mut().critical = critical;
    }

    /// Its health is critical, and it reports that.
    pub fn sicken(&self, critical: u8) {
        self.sicken_silently(critical);
        let mut state = self.state.borrow_mut();
        state.reports.push_back(1 | 1 << 8 | 2 << 16);
        drop(state);
        self.xen.wake(self.actor);
    }
}

impl Actor for Model {
    fn turn(&mut self, xen: &Xen) -> Next {
        if self.state.borrow().pulled {
            self.registers.poke(0, &[0xff; PAGES * 4096]);
            return Next::Wait;
        }
        self.heed(xen);
        if matches!(self.power, Power::On) && self.state.borrow().master {
            self.fetch(xen);
            self.work(xen);
            self.report(xen);
            self.interrupt(xen);
        }
        self.tell();
        let due = self.running.iter().map(|(at, _, _)| *at).min();
        match (&self.power, due) {
            (Power::Starting(at), _) => Next::At(*at),
            (Power::On, Some(at)) if self.state.borrow().master => Next::At(at),
            _ => Next::Wait,
        }
    }
}

impl Model {
    /// What its registers say of what it is.
    fn describe(&self) {
        let state = self.state.borrow();
        let entries = u64::from(state.config.entries - 1);
        // Half a second at most to get ready, the NVM command set.
        let cap = state
            .malice
            .capabilities
            .unwrap_or(entries | 1 << 16 | 1 << 24 | 1 << 37);
        self.registers.poke(CAP, &cap.to_le_bytes());
        self.registers.poke(VS, &0x0001_0400u32.to_le_bytes());
    }

    fn heed(&mut self, xen: &Xen) {
        self.describe();
        let cc = self.registers.u32(CC);
        let now = xen.now();
        let malice = self.state.borrow().malice.clone();
        match self.power {
            Power::Off if cc & 1 != 0 && !malice.never_ready => {
                self.power = Power::Starting(now.after(self.state.borrow().config.ready_after));
            }
            Power::Starting(at) if now >= at => self.start(),
            Power::Starting(_) | Power::On if cc & 1 == 0 && !malice.never_stops => self.stop(xen),
            _ => {}
        }
        if cc >> 14 & 3 == 1 && !self.shut_down {
            self.shut_down = true;
            self.state.borrow_mut().counted.shutdowns += 1;
        }
    }

    fn start(&mut self) {
        let entries = (self.registers.u32(AQA) & 0xfff) as u16 + 1;
        let (asq, acq) = (self.registers.u64(ASQ), self.registers.u64(ACQ));
        self.admin = Some(Queue::new(0, entries, asq, acq));
        self.state.borrow_mut().counted.enabled += 1;
        self.power = Power::On;
        self.shut_down = false;
    }

    fn stop(&mut self, xen: &Xen) {
        (self.admin, self.io, self.completions) = (None, None, None);
        self.running.clear();
        self.listening.clear();
        self.lost.clear();
        self.power = Power::Off;
        self.registers.poke(DOORBELLS, &[0; 64]);
        let mut state = self.state.borrow_mut();
        state.fatal = false;
        let (pirq, trigger) = (state.config.pirq, state.config.trigger);
        drop(state);
        if trigger == Trigger::Line {
            xen.hold_line(self.dom, pirq, false);
        }
    }

    /// Fetches all commands that are shown.
    fn fetch(&mut self, xen: &Xen) {
        let due = xen.now().after(self.state.borrow().config.latency);
        while let Some(command) = take(&mut self.admin, xen, self.dom, &self.registers) {
            let mut state = self.state.borrow_mut();
            if command.opcode() != 0x0c && state.malice.loses_admin != 0 {
                state.malice.loses_admin -= 1;
            } else if command.opcode() == 0x0c {
                self.listening.push_back(command.id());
            } else {
                self.running.push_back((due, true, command));
            }
        }
        while let Some(command) = take(&mut self.io, xen, self.dom, &self.registers) {
            let mut state = self.state.borrow_mut();
            if state.malice.loses != 0 {
                state.malice.loses -= 1;
                self.lost.push(command.id());
            } else {
                self.running.push_back((due, false, command));
            }
        }
    }

    /// Carries out what is due.
    fn work(&mut self, xen: &Xen) {
        let now = xen.now();
        for _ in 0..self.running.len() {
            match self.running.pop_front() {
                Some((due, true, command)) if due <= now => self.administer(xen, &command),
                Some((due, false, command)) if due <= now => self.serve(xen, &command),
                Some(later) => self.running.push_back(later),
                None => {}
            }
        }
    }

    fn serve(&mut self, xen: &Xen, command: &Command) {
        let mut state = self.state.borrow_mut();
        let (config, malice) = (state.config.clone(), state.malice.clone());
        let status = if malice.fails.1 == 0 {
            medium::carry_out(xen, self.dom, &config, &mut state.counted, command)
        } else {
            state.malice.fails.1 -= 1;
            malice.fails.0
        };
        drop(state);
        let id = command.id().wrapping_add(malice.id);
        for _ in 0..1 + u32::from(malice.twice) {
            self.complete(xen, false, (0, id, status), (malice.head, malice.queue));
        }
    }

    fn administer(&mut self, xen: &Xen, command: &Command) {
        let outcome = self.administered(xen, command);
        let (result, status) = match outcome {
            Ok(result) => (result, 0),
            Err(status) => (0, status),
        };
        self.complete(xen, true, (result, command.id(), status), (0, 0));
    }

    fn administered(&mut self, xen: &Xen, command: &Command) -> Result<u32, u16> {
        let state = self.state.clone();
        let mut state = state.borrow_mut();
        let (config, malice) = (state.config.clone(), state.malice.clone());
        let filled = |page: &[u8]| data::write(xen, self.dom, command, page).map(|()| 0);
        let identified = |page: &[u8]| {
            let length = malice.cut.unwrap_or(page.len()).min(page.len());
            filled(&page[..length])
        };
        match (command.opcode(), command.dword(10)) {
            (0x06, 0) if malice.hides.1 != 0 => {
                state.malice.hides.1 -= 1;
                Err(malice.hides.0)
            }
            (0x06, 0) => identified(&admin::namespace(&config, &malice, command.namespace())),
            (0x06, 1) => identified(&admin::controller(&config)),
            (0x06, 2) => identified(&admin::list(&config, &malice)),
            (0x02, what) => {
                let length = ((what >> 16) as usize + 1) * 4;
                let mut page = match what & 0xff {
                    2 => admin::health(state.critical),
                    _ => Vec::new(),
                };
                page.resize(length, 0);
                filled(&page)
            }
            (0x05, queue) => {
                self.completions = Some((command.data()[0], (queue >> 16) as u16 + 1));
                Ok(0)
            }
            (0x01, queue) => {
                let (at, entries) = self.completions.ok_or(0x100u16)?;
                if entries != (queue >> 16) as u16 + 1 || entries > config.entries {
                    return Err(0x102);
                }
                self.io = Some(Queue::new(queue as u16, entries, command.data()[0], at));
                Ok(0)
            }
            (0x08, which) => {
                state.counted.aborts += 1;
                let id = (which >> 16) as u16;
                let known = self.lost.iter().position(|lost| *lost == id);
                match known.filter(|_| !malice.ignores_abort) {
                    Some(at) => {
                        drop(state);
                        self.lost.remove(at);
                        self.complete(xen, false, (0, id, 0x007), (0, 0));
                        Ok(0)
                    }
                    None => Ok(1),
                }
            }
            (0x09, _) => Ok(0),
            _ => Err(0x4001),
        }
    }

    /// Answers a command that waits for something to report.
    fn report(&mut self, xen: &Xen) {
        let mut state = self.state.borrow_mut();
        if state.reports.is_empty() || self.listening.is_empty() {
            return;
        }
        let ready = state.reports.pop_front().zip(self.listening.pop_front());
        drop(state);
        if let Some((report, id)) = ready {
            self.complete(xen, true, (report, id, 0), (0, 0));
        }
    }

    fn complete(
        &mut self,
        xen: &Xen,
        is_admin: bool,
        (result, id, status): (u32, u16, u16),
        more: (u16, u16),
    ) {
        let queue = if is_admin {
            &mut self.admin
        } else {
            &mut self.io
        };
        let Some(queue) = queue else { return };
        queue.complete(xen, (self.dom, &self.registers), result, id, status, more);
        let state = self.state.borrow();
        if state.config.trigger == Trigger::Message && !state.malice.mute {
            xen.send_message(self.dom, state.config.pirq);
        }
    }

    /// Holds the line as long as completions are not acknowledged.
    fn interrupt(&self, xen: &Xen) {
        let state = self.state.borrow();
        if state.config.trigger == Trigger::Line && !state.malice.mute {
            let mut queues = self.admin.iter().chain(&self.io);
            let held = queues.any(|queue| queue.is_pending(&self.registers));
            xen.hold_line(self.dom, state.config.pirq, held);
        }
    }

    /// Sets the status register.
    fn tell(&self) {
        let ready = if matches!(self.power, Power::On) {
            READY
        } else {
            0
        };
        let fatal = if self.state.borrow().fatal { FATAL } else { 0 };
        let down = if self.shut_down { 2 << 2 } else { 0 };
        let status: u32 = ready | fatal | down;
        self.registers.poke(CSTS, &status.to_le_bytes());
    }
}

fn take(queue: &mut Option<Queue>, xen: &Xen, dom: DomId, registers: &Frame) -> Option<Command> {
    queue.as_mut()?.fetch(xen, dom, registers)
}
