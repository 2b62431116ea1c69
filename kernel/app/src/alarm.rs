//! When Xen is to wake the domain; pure.

use core::cell::Cell;

use hv::Instant;

/// What Xen was asked for, until it has come to it. A busy domain sleeps thousands of times before
/// its next deadline, and need neither ask each time nor look at the clock for it.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    at: Cell<Option<Instant>>,
}

impl Alarm {
    /// What Xen is to be asked for by a domain that sleeps until `until`; `None` if it need not be
    /// asked: it wakes the domain early enough, or the domain waits for no time at all.
    #[must_use = "without it the domain sleeps on"]
    pub(crate) fn next(&self, until: Option<Instant>) -> Option<Instant> {
        let until = until?;
        if self.at.get().is_some_and(|at| at <= until) {
            return None;
        }
        self.at.set(Some(until));
        Some(until)
    }

    /// Notes that Xen has sent the timer's event: whether or not it is the one that was asked for,
    /// it is asked again.
    pub(crate) fn came(&self) {
        self.at.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Option<Instant> {
        Some(Instant(seconds * 1_000_000_000))
    }

    #[test]
    fn xen_is_asked_once_for_a_deadline_and_again_for_an_earlier_one() {
        let alarm = Alarm::default();
        assert_eq!(alarm.next(second(5)), second(5));
        assert_eq!(alarm.next(second(5)), None);
        assert_eq!(alarm.next(second(9)), None, "woken early");
        assert_eq!(alarm.next(None), None);
        assert_eq!(alarm.next(second(3)), second(3));
        assert_eq!(alarm.next(second(5)), None);
    }

    #[test]
    fn xen_is_asked_again_after_its_event() {
        let alarm = Alarm::default();
        assert_eq!(alarm.next(second(5)), second(5));
        alarm.came();
        assert_eq!(alarm.next(None), None);
        assert_eq!(alarm.next(second(5)), second(5), "it came too early");
    }
}
