//! Small curves and bars.

use alloc::string::String;

use blkback::statistics::LATENCY_CLASSES;

use crate::text::put;

const WIDTH: u64 = 240;
const HEIGHT: u64 = 48;

/// Two curves under one scale, the latest at the right; `most` says how many points fit.
#[must_use]
pub fn curves(title: &str, points: &[(u64, u64)], most: usize) -> String {
    let highest = points.iter().map(|(one, other)| (*one).max(*other)).max();
    let highest = u128::from(highest.unwrap_or(0).max(1));
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             preserveAspectRatio=\"none\" role=\"img\"><title>{title}</title>"
        ),
    );
    let missing = most.saturating_sub(points.len()) as u64;
    let last = (most.max(2) - 1) as u64;
    for class in ["in", "out"] {
        put(
            &mut out,
            format_args!("<polyline class=\"{class}\" points=\""),
        );
        for (at, (one, other)) in points.iter().enumerate() {
            let value = u128::from(if class == "in" { *one } else { *other });
            let up = u64::try_from(value * u128::from(HEIGHT - 4) / highest).unwrap_or(0);
            let x = (missing + at as u64) * WIDTH / last;
            put(&mut out, format_args!("{x},{} ", HEIGHT - 2 - up));
        }
        out.push_str("\"/>");
    }
    out.push_str("</svg>");
    out
}

/// How many requests took how long: a bar for each class that is not empty at either end.
#[must_use]
pub fn latencies(classes: &[u64; LATENCY_CLASSES]) -> String {
    let used = |count: &u64| *count > 0;
    let first = classes.iter().position(used).unwrap_or(0);
    let last = classes.iter().rposition(used).unwrap_or(0);
    let bars = classes.get(first..=last).unwrap_or_default();
    let highest = bars.iter().copied().max().unwrap_or(0).max(1);
    let mut out = String::new();
    let width = bars.len() * 7;
    put(
        &mut out,
        format_args!(
            "<svg class=\"bars\" width=\"{width}\" height=\"20\" viewBox=\"0 0 {width} 20\" \
             role=\"img\"><title>How many requests took how long</title>"
        ),
    );
    for (at, count) in bars.iter().enumerate() {
        let full = u128::from(*count) * 18 / u128::from(highest);
        let height = u64::try_from(full).unwrap_or(0) + u64::from(*count > 0) * 2;
        put(
            &mut out,
            format_args!(
                "<rect x=\"{}\" y=\"{}\" width=\"6\" height=\"{height}\">\
                 <title>below {} us: {count}</title></rect>",
                at * 7,
                20 - height,
                1u64 << (first + at),
            ),
        );
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_within_its_frame() {
        let points = [(0, u64::MAX), (5, 0), (u64::MAX, 7)];
        let svg = curves("x", &points, 60);
        assert!(svg.contains("points=\"231,46 235,46 240,2 \""), "{svg}");
        assert!(svg.contains("points=\"231,2 235,46 240,46 \""), "{svg}");
        assert!(curves("x", &[], 60).ends_with("</svg>"));
    }

    #[test]
    fn bars_are_there_for_what_took_some_time() {
        let mut classes = [0; LATENCY_CLASSES];
        (classes[5], classes[7]) = (10, u64::MAX);
        let svg = latencies(&classes);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains("below 32 us: 10") && svg.contains("height=\"20\""));
        assert_eq!(latencies(&[0; LATENCY_CLASSES]).matches("<rect").count(), 1);
    }
}
