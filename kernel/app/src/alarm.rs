//! When Xen is to wake the domain; pure.

use core::time::Duration;

use hv::Instant;

/// How near the moment may be that Xen was asked for, and Xen still be taken for not having come to
/// it: more than two readings of the clock can differ by.
const NEAR: Duration = Duration::from_millis(1);
/// After this time Xen is asked again, whatever it was asked for.
const LONGEST: Duration = Duration::from_secs(3600);

/// What Xen was asked for last. A busy domain sleeps thousands of times before its next deadline,
/// and need not ask each time.
#[derive(Debug, Default)]
pub struct Alarm {
    /// Until then Xen need not be asked, unless for something earlier.
    at: Option<Instant>,
}

impl Alarm {
    /// What Xen is to be asked for by a domain that sleeps until `until`; `None` if it need not be
    /// asked: it wakes the domain early enough, or the domain waits for no time at all. `now` is
    /// read when the domain is about to sleep: what Xen came to before may have been taken.
    pub fn next(&mut self, now: Instant, until: Option<Instant>) -> Option<Instant> {
        let until = until?;
        let is_set = self
            .at
            .is_some_and(|at| at > now.after(NEAR) && at <= until);
        if is_set {
            return None;
        }
        self.at = Some(until.min(now.after(LONGEST)));
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    #[test]
    fn xen_is_asked_once_for_a_deadline_and_again_for_an_earlier_one() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.next(second(0), Some(second(5))), Some(second(5)));
        assert_eq!(alarm.next(second(1), Some(second(5))), None);
        assert_eq!(alarm.next(second(1), Some(second(9))), None, "woken early");
        assert_eq!(alarm.next(second(1), None), None);
        assert_eq!(alarm.next(second(1), Some(second(3))), Some(second(3)));
        assert_eq!(alarm.next(second(2), Some(second(5))), None);
        assert_eq!(alarm.next(second(3), Some(second(5))), Some(second(5)));
    }

    #[test]
    fn a_deadline_that_is_near_is_asked_for_each_time() {
        let mut alarm = Alarm::default();
        let near = Some(Instant(500_000));
        assert_eq!(alarm.next(second(0), near), near);
        assert_eq!(alarm.next(second(0), near), near);
        assert_eq!(alarm.next(second(1), near), near, "it has passed");
    }

    #[test]
    fn a_far_deadline_is_asked_for_once_an_hour() {
        let mut alarm = Alarm::default();
        let far = Some(second(1_000_000));
        assert_eq!(alarm.next(second(0), far), far);
        assert_eq!(alarm.next(second(3590), far), None);
        assert_eq!(alarm.next(second(3600), far), far);
    }
}
