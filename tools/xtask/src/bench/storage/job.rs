//! The jobs that fio does.

use super::contender::EXPORT_MIB;
use super::load::Clock;

/// What fio does, the same for every export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// What it is called.
    pub name: &'static str,
    /// fio's `rw`.
    kind: &'static str,
    /// fio's `bs`.
    block: Block,
    depth: u32,
}

/// The size of an I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Small,
    Middle,
    Large,
}

/// In the order of a round.
pub(super) const JOBS: [Job; 9] = [
    job("randread 4k qd1", "randread", Block::Small, 1),
    job("randread 4k qd32", "randread", Block::Small, 32),
    job("randwrite 4k qd1", "randwrite", Block::Small, 1),
    job("randwrite 4k qd32", "randwrite", Block::Small, 32),
    job("read 128k qd8", "read", Block::Middle, 8),
    job("write 128k qd8", "write", Block::Middle, 8),
    job("read 1m qd4", "read", Block::Large, 4),
    job("write 1m qd4", "write", Block::Large, 4),
    job("mixed 70/30 4k qd8", "randrw", Block::Small, 8),
];

/// The job of [`super::growth`].
pub(super) const SPREAD: Job = job("randread 4k qd32", "randread", Block::Small, 32);

const fn job(name: &'static str, kind: &'static str, block: Block, depth: u32) -> Job {
    Job {
        name,
        kind,
        block,
        depth,
    }
}

impl Job {
    /// The I/Os of a short and of a long run: what lies between is without fio's start.
    pub(super) fn counts(self) -> (u32, u32) {
        match self.block {
            Block::Small => (200, 3200),
            Block::Middle => (40, 340),
            Block::Large => (8, 56),
        }
    }

    /// Whether its I/Os are so large that bytes tell more than their number.
    pub(super) fn is_sequential(self) -> bool {
        self.block != Block::Small
    }

    /// Whether it keeps a ring full of small I/Os.
    pub(super) fn is_deep(self) -> bool {
        self.block == Block::Small && self.depth == 32
    }

    /// Whether it reads in the largest I/Os.
    pub(super) fn reads_megabytes(self) -> bool {
        self.block == Block::Large && self.kind == "read"
    }

    /// Whether it waits for each I/O before the next.
    pub(super) fn waits(self) -> bool {
        self.depth == 1
    }

    /// fio's options. What writes stays in the upper half of the export, so that the lower half
    /// shows at the end whether anything else was touched.
    pub(super) fn options(self, clock: Clock) -> String {
        let Self {
            kind, block, depth, ..
        } = self;
        let block = match block {
            Block::Small => "4k",
            Block::Middle => "128k",
            Block::Large => "1m",
        };
        let half = EXPORT_MIB / 2;
        let range = if kind.contains("write") || kind == "randrw" {
            format!("--offset={half}m --size={half}m")
        } else {
            format!("--size={EXPORT_MIB}m")
        };
        let mix = if kind == "randrw" {
            "--rwmixread=70 "
        } else {
            ""
        };
        let end = match clock {
            Clock::Window(_) => "--time_based",
            Clock::Slope => "",
        };
        format!(
            "--ioengine=libaio --direct=1 --thread --randseed=1 --rw={kind} --bs={block} \
             --iodepth={depth} {mix}{range} {end}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Clock;
    use super::JOBS;

    #[test]
    fn only_reads_touch_the_lower_half() {
        for job in JOBS {
            let options = job.options(Clock::Window(2000));
            let reads_only = job.name.contains("read");
            assert_eq!(reads_only, !options.contains("--offset=64m"), "{options}");
        }
    }

    #[test]
    fn a_long_run_is_much_longer_than_a_short_one_and_fits_its_half() {
        for job in JOBS {
            let (short, long) = job.counts();
            assert!(short * 5 < long);
            let bytes = u64::from(long)
                * match job.block {
                    super::Block::Small => 4 << 10,
                    super::Block::Middle => 128 << 10,
                    super::Block::Large => 1 << 20,
                };
            assert!(bytes <= 64 << 20, "{}", job.name);
        }
    }
}
