//! The smallest, the middle and the largest of several measurements.

use std::fmt;

/// Measurements of one thing, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(Vec<f64>);

impl Figures {
    pub(super) fn add(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
        self.0.sort_by(f64::total_cmp);
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
}

/// `smallest/median/largest`, in whole milliseconds.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.0.first(), self.0.last()) else {
            return f.write_str("-");
        };
        f.pad(&format!("{first:.0}/{:.0}/{last:.0}", self.median()))
    }
}

#[cfg(test)]
mod tests {
    use super::Figures;

    #[test]
    fn the_median_is_the_middle_one() {
        let mut figures = Figures::default();
        assert!(figures.median().is_nan());
        for value in [30.0, 10.0, 20.0] {
            figures.add(value);
        }
        assert_eq!(
            (figures.median(), figures.to_string()),
            (20.0, "10/20/30".to_owned())
        );
        figures.add(40.0);
        assert_eq!(figures.median(), 25.0);
    }
}
