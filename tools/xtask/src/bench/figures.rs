//! The smallest, the middle and the largest of several measurements.

use std::fmt;

/// Measurements of one thing, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Vec<f64>);

impl Figures {
    pub(super) fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    pub(super) fn smallest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn largest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The middle one; of an even number, the mean of the two.
    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            length if length.is_multiple_of(2) => (self.0[middle - 1] + self.0[middle]) / 2.0,
            _ => self.0[middle],
        }
    }

    /// `smallest/median/largest`, with `decimals` digits after the point.
    pub(super) fn text(&self, decimals: usize) -> String {
        if self.0.is_empty() {
            return "-".to_owned();
        }
        [self.smallest(), self.median(), self.largest()]
            .map(|value| format!("{value:.decimals$}"))
            .join("/")
    }
}

/// In whole numbers.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text(0))
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn the_median_is_the_middle_one() {
        let mut figures = Figures::default();
        assert!(figures.median().is_nan());
        assert_eq!(figures.to_string(), "-");
        for value in [30.0, 10.0, 20.0] {
            figures.add(value);
        }
        assert_eq!(
            (figures.median(), figures.to_string()),
            (20.0, "10/20/30".to_owned())
        );
        figures.add(40.0);
        assert_eq!(figures.median(), 25.0);
        assert_eq!(figures.text(1), "10.0/25.0/40.0");
    }
}
