//! The wall clock, for people.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

const DAY: u64 = 86_400;

/// `since_1970` as `2026-11-23 02:20:11 UTC`, in the Gregorian calendar.
#[must_use]
pub fn utc(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = calendar(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The date `days` after 1970-01-01: year, month, day.
///
/// Years are counted from March, so that the leap day comes last and a month's start is linear: 153
/// days in each five months.
fn calendar(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let era = days / 146_097; // of 400 years
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_234_567_890, "2009-02-13 23:31:30 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = calendar(0);
        for day in 1..200_000 {
            let next = calendar(day);
            let (year, month, date) = last;
            let follows = next == (year, month, date + 1)
                || next == (year, month + 1, 1)
                || (month == 12 && next == (year + 1, 1, 1));
            assert!(follows && next.2 <= 31 && next.1 <= 12, "{last:?} {next:?}");
            last = next;
        }
    }

    #[test]
    fn the_end_of_time_is_a_date() {
        assert!(utc(Duration::MAX).ends_with("UTC"));
    }
}
