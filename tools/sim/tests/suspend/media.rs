//! The disk of the next life has other sectors, or cannot be written any more (S51): nothing that
//! was asked of the former one may reach it.

use std::rc::Rc;

use geom::{Access, Device, Errno};
use sim::BlkbackConfig;
use sim::scene::pattern;

use crate::setting::{ANEW, Outcome, SECOND, Scene, honest};

fn with_sectors(sector_size: u32) -> BlkbackConfig {
    BlkbackConfig {
        sector_size,
        ..honest()
    }
}

/// A machine whose disk is asked for much at the suspension: one write that its backend has, others
/// that wait in the driver, and at last a flush, and a write behind it, that wait in GEOM.
struct Asked {
    scene: Scene,
    device: Rc<Device>,
    first: Outcome,
    waiting: Vec<Outcome>,
}

impl Asked {
    fn new(seed: u64, config: BlkbackConfig) -> Self {
        let sector = u64::from(config.sector_size);
        let scene = Scene::idle(seed, config);
        let device = Rc::new(scene.open(Access::READ_WRITE));
        let write = |offset: u64, length: u64| {
            let device = device.clone();
            let bytes = vec![0xee; usize::try_from(length).expect("few bytes")];
            scene.ask(async move { device.write(offset, bytes).await })
        };
        scene.backend().set_held(true);
        let first = write(0, 4096);
        scene.machine.run_for(SECOND);
        scene.ask_to_suspend();
        scene.machine.run_for(SECOND);
        let mut waiting = vec![write(1 << 20, 8192), write((1 << 20) + 3 * sector, sector)];
        let (reading, flushing) = (device.clone(), device.clone());
        waiting.push(scene.ask(async move { reading.read(sector, 4096).await.map(drop) }));
        waiting.push(scene.ask(async move { flushing.flush().await }));
        waiting.push(write(2 << 20, 4096));
        scene.machine.run_for(SECOND);
        assert_eq!(scene.handed_over(0), 4, "two wait in GEOM");
        assert_eq!(scene.backend().pending(), 1, "three wait in the driver");
        Self {
            scene,
            device,
            first,
            waiting,
        }
    }

    /// Goes on in the next life.
    fn live_anew(&self, config: BlkbackConfig) {
        self.scene.save(Some(config));
        self.scene.backend().set_held(false);
        self.scene.machine.until_shown(ANEW);
        self.scene.machine.run_for(5 * SECOND);
    }

    /// What waited failed, who has the disk open lost it and lets it go, and the next disk is as
    /// it was.
    fn failed(self) -> Scene {
        assert_eq!(self.first.get(), Some(Ok(())));
        for outcome in &self.waiting {
            assert_eq!(outcome.get(), Some(Err(Errno::NoDevice)));
        }
        assert_eq!(self.device.error(), Some(Errno::NoDevice));
        let disk = &self.scene.disk;
        assert!(disk.bytes(0, 4096) == [0xee; 4096]);
        assert!(disk.bytes(1 << 20, 2 << 20).iter().all(|byte| *byte == 0));
        self.scene.spawn(async move { drop(self.device) });
        self.scene.machine.run_for(SECOND);
        self.scene
    }
}

#[test]
fn s51_a_disk_with_other_sectors_in_the_next_life_is_another_provider() {
    let mut seed = 40;
    for (before, after) in [(512, 4096), (4096, 512), (512, 1024), (2048, 512)] {
        for discard_granularity in [None, Some(1024), Some(65536)] {
            seed += 1;
            let asked = Asked::new(seed, with_sectors(before));
            let next = BlkbackConfig {
                discard_granularity,
                ..with_sectors(after)
            };
            asked.live_anew(next);
            let scene = asked.failed();
            let provider = scene.machine.domain.geom.provider("xbd0");
            let provider = provider.unwrap_or_else(|| panic!("{}", scene.output()));
            assert_eq!(provider.sector_size, after);
            assert_eq!(scene.came_and_went(), (1, 0), "{}", scene.output());
            // It can be used.
            let device = Rc::new(scene.open(Access::READ_WRITE));
            let bytes = pattern(1, 1 << 19);
            let (writing, written) = (device.clone(), bytes.clone());
            let written = scene.ask(async move { writing.write(1 << 20, written).await });
            let short = scene.ask(async move {
                let length = after as usize / 2;
                device.read(0, length).await.map(drop)
            });
            scene.machine.run_for(SECOND);
            assert_eq!(written.get(), Some(Ok(())));
            assert_eq!(short.get(), Some(Err(Errno::Invalid)));
            assert!(scene.disk.bytes(1 << 20, bytes.len()) == bytes);
            assert_eq!(scene.backend().served().errors, 0);
        }
    }
}

#[test]
fn s51_a_disk_that_cannot_be_written_in_the_next_life_is_gone_once_and_there_anew() {
    let asked = Asked::new(60, honest());
    let next = BlkbackConfig {
        read_only: true,
        ..honest()
    };
    asked.live_anew(next);
    let scene = asked.failed();
    assert_eq!(scene.came_and_went(), (2, 1));
    assert_eq!(scene.shown("geom: xbd0 gone"), 1, "{}", scene.output());
    assert_eq!(scene.shown("xbd0: vbd"), 2, "{}", scene.output());
    let geom = &scene.machine.domain.geom;
    assert!(geom.open("xbd0", Access::READ_WRITE).is_err());
    let device = scene.open(Access::READ);
    let read = scene.ask(async move { device.read(0, 4096).await.map(drop) });
    scene.machine.run_for(SECOND);
    assert_eq!(read.get(), Some(Ok(())));
}

#[test]
fn s51_sectors_that_cannot_be_are_no_disk_in_the_next_life() {
    let asked = Asked::new(61, honest());
    // The simulator's backend offers whatever size it is told.
    asked.live_anew(with_sectors(8192));
    let scene = asked.failed();
    assert_eq!(scene.came_and_went(), (1, 1));
    assert_eq!(scene.shown("geom: xbd0 gone"), 1, "{}", scene.output());
    assert_eq!(
        scene.shown("a sector size of 8192 is not"),
        1,
        "{}",
        scene.output()
    );
}
