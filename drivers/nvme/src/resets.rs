//! How often a controller may be reset; pure.

use core::time::Duration;

use hv::Instant;

/// Resets within [`WINDOW`] after which a controller is given up.
const MOST: u32 = 3;
/// One that went on for so long has not been reset in vain.
const WINDOW: Duration = Duration::from_secs(600);

/// The resets of one controller.
#[derive(Debug, Default)]
pub(crate) struct Resets {
    count: u32,
    last: Instant,
}

impl Resets {
    /// Whether it may be reset once more, which is noted.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        if now.since(self.last) >= WINDOW {
            self.count = 0;
        }
        self.last = now;
        self.count += 1;
        self.count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_needs_reset_after_reset_is_given_up() {
        let mut resets = Resets::default();
        let at = |seconds| Instant(0).after(Duration::from_secs(seconds));
        assert!((0..3).all(|second| resets.allow(at(second))));
        assert!(!resets.allow(at(4)));
    }

    #[test]
    fn resets_long_ago_do_not_count() {
        let mut resets = Resets::default();
        let mut at = Instant(0);
        for _ in 0..20 {
            at = at.after(WINDOW);
            assert!(resets.allow(at));
        }
    }
}
