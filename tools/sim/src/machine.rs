//! A whole domain, composed as the image is, on the simulated Xen: boots, is typed at, is read.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use app::{Domain, Next, Shard, ShardCell, turn_shards};
use hv::{DomId, Hypervisor, Instant};

use crate::{
    Blkback, BlkbackConfig, Consoled, Disk, Dom, DomainConfig, Ended, Storage, Toolstack, Vbd,
    World,
};

/// How long whatever should happen may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The shell's prompt.
pub const PROMPT: &str = "xenolith> ";

/// A machine with one guest that runs the very composition that the image runs.
pub struct Machine {
    /// The guest's parts.
    pub domain: Rc<Domain<Dom>>,
    /// Its console.
    pub console: Consoled,
    /// The toolstack.
    pub toolstack: Toolstack,
    /// Everything.
    pub world: World,
}

impl Machine {
    /// The guest's number.
    pub const GUEST: DomId = crate::storage::GUEST;

    /// Creates a guest without disks and starts it with this command line.
    #[must_use]
    pub fn boot(seed: u64, command_line: &str) -> Self {
        Self::boot_with(seed, command_line, DomainConfig::default(), |_, _| {})
    }

    /// The same, with other resources, and after `prepare` has made the devices that are to be
    /// there at boot.
    #[must_use]
    pub fn boot_with(
        seed: u64,
        command_line: &str,
        config: DomainConfig,
        prepare: impl FnOnce(&World, &Toolstack),
    ) -> Self {
        let world = World::new(seed);
        let toolstack = Toolstack::start(&world);
        let dom = toolstack.create_domain(Self::GUEST, "xenolith", config);
        let console = Consoled::start(&world, Self::GUEST);
        prepare(&world, &toolstack);
        let (domain, shards) = Domain::start(dom.clone(), command_line);
        let domain = Rc::new(domain);
        run(&world, &domain, shards);
        Self {
            domain,
            console,
            toolstack,
            world,
        }
    }

    /// Attaches a disk; a backend starts to serve it.
    #[must_use]
    pub fn attach(&self, devid: u32, disk: &Disk, config: BlkbackConfig) -> Blkback {
        let vbd: Vbd = Storage::vbd(devid);
        Blkback::attach(&self.world, &self.toolstack, vbd, disk, config)
    }

    /// Runs until `done` holds.
    ///
    /// # Panics
    /// If it does not come true, with what was awaited and the console's output.
    pub fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        if let Err(stop) = self.world.run_until(|_| done(self), PATIENCE) {
            panic!("{what}: {stop}\n{}", self.console.output());
        }
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// If a law is broken, with the console's output.
    pub fn run_for(&self, time: Duration) {
        if let Err(stop) = self.world.run_for(time) {
            panic!("{stop}\n{}", self.console.output());
        }
    }

    /// Runs until the console shows `text`.
    ///
    /// # Panics
    /// If it never does.
    pub fn until_shown(&self, text: &str) {
        self.until(text, |machine| machine.console.output().contains(text));
    }

    /// Types a command and returns what it printed, up to the next prompt.
    ///
    /// # Panics
    /// If the prompt does not come back.
    pub fn command(&self, line: &str) -> String {
        let start = self.console.output_length();
        self.console.type_bytes(line);
        self.console.type_bytes("\r");
        // Without the editor's "clear to the end of the line". What the log has said before the
        // line was read, and the prompt behind that, is not the answer.
        let echo = format!("{line}\r\n");
        let answer = |machine: &Self| {
            let text = machine.console.output()[start..].replace("\x1b[K", "");
            let (_, body) = text.split_once(&echo)?;
            Some(body.strip_suffix(PROMPT)?.replace('\r', ""))
        };
        self.until(line, |machine| answer(machine).is_some());
        answer(self).unwrap_or_default()
    }

    /// How the domain ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.world.ended(Self::GUEST)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.domain.pv.exec.drop_tasks();
    }
}

/// Runs a domain on all its vCPUs, as `boot` does.
pub fn run(world: &World, domain: &Rc<Domain<Dom>>, shards: Vec<Shard<Dom>>) {
    let dom = &domain.pv.hv;
    let shards = DomShard::of(dom, shards);
    let (running, all) = (domain.clone(), shards.clone());
    world.run_domain(dom, move || turn(&running, &all));
    for vcpu in 1..dom.vcpus() {
        let (hv, all) = (dom.clone(), shards.clone());
        world.run_vcpu(dom, vcpu, move || follow(&hv, turn_shards(&all)));
    }
}

fn turn(domain: &Domain<Dom>, shards: &[DomShard]) -> Option<Instant> {
    let next = domain.turn(shards);
    if let Err(law) = domain.geom.check() {
        domain.pv.hv.xen().violation(law);
    }
    follow(&domain.pv.hv, next)
}

/// Does what is next after a turn, and says until when it is not to be called again.
pub fn follow(hv: &Dom, next: Next) -> Option<Instant> {
    match next {
        Next::Turn => return Some(hv.now()),
        Next::Sleep => {}
        Next::Stop => hv.vcpu_down(),
        Next::End(reason) => hv.shutdown(reason),
    }
    None
}

/// A shard, which one vCPU at a time has, as `boot` has it.
struct DomShard {
    hv: Dom,
    holder: Cell<u32>,
    shard: Shard<Dom>,
}

impl DomShard {
    fn of(hv: &Dom, shards: Vec<Shard<Dom>>) -> Rc<[Self]> {
        let cells = shards.into_iter().map(|shard| Self {
            hv: hv.clone(),
            holder: Cell::new(0),
            shard,
        });
        cells.collect()
    }
}

impl ShardCell<Dom> for DomShard {
    fn with(&self, act: &mut dyn FnMut(&Shard<Dom>)) {
        if self.holder.get() == self.hv.vcpu() {
            act(&self.shard);
        }
    }

    fn pass(&self, vcpu: u32) {
        assert_eq!(
            self.holder.get(),
            self.hv.vcpu(),
            "who hands a shard on has it"
        );
        self.holder.set(vcpu);
    }
}
