//! A picture of rows of one metric: bars of the medians, with the spread of the rounds.

use std::fmt::Write as _;

use super::row::Row;

const WIDTH: f64 = 960.0;
/// Where the bars start, and how long the longest is.
const LEFT: f64 = 250.0;
const LENGTH: f64 = 430.0;
const BAR: f64 = 11.0;
const GAP: f64 = 12.0;
const TOP: f64 = 70.0;
const COLOURS: [&str; 3] = ["#c0392b", "#7f8c8d", "#bdc3c7"];

/// An SVG. Each row has its own scale, up to its largest figure, so that the bars of one row can be
/// compared and the ratio behind them says it in numbers.
pub(super) fn svg(title: &str, contenders: &[&str], rows: &[&Row]) -> String {
    let mut svg = String::new();
    let mut y = TOP;
    for row in rows {
        add_row(&mut svg, contenders.len(), row, y);
        y += BAR * float(contenders.len()) + GAP;
    }
    let mut legend = String::new();
    for (number, (name, colour)) in contenders.iter().zip(COLOURS).enumerate() {
        let x = LEFT + 170.0 * float(number);
        // A string never refuses to be written to.
        let _ = writeln!(
            legend,
            "<rect x=\"{x}\" y=\"38\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"48\">{name}</text>",
            x + 18.0
        );
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">{title}</text>\n{legend}{svg}</svg>\n"
    )
}

fn add_row(svg: &mut String, contenders: usize, row: &Row, y: f64) {
    let figures: Vec<_> = (0..contenders)
        .map(|contender| row.figures(contender))
        .collect();
    let largest = figures
        .iter()
        .map(|figures| figures.largest())
        .fold(0.0, f64::max);
    if largest <= 0.0 {
        return;
    }
    let middle = y + BAR * float(contenders) / 2.0 + 4.0;
    let again = if row.repeated > 0 { " (repeated)" } else { "" };
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}, {}{again}</text>",
        LEFT - 8.0,
        row.part,
        row.name
    );
    let scale = |value: f64| LENGTH * value / largest;
    for (number, (figures, colour)) in figures.iter().zip(COLOURS).enumerate() {
        let top = y + BAR * float(number);
        let (line, text) = (top + BAR / 2.0, top + BAR - 2.0);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <path d=\"M{:.1} {line}H{:.1}\" stroke=\"black\" stroke-width=\"1.5\"/>\
             <text x=\"{}\" y=\"{text}\" font-size=\"9\">{}</text>",
            scale(figures.median()),
            BAR - 1.0,
            LEFT + scale(figures.smallest()),
            LEFT + scale(figures.largest()),
            LEFT + LENGTH + 8.0,
            figures.text(row.metric.decimals())
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{middle}\">ratio {}</text>",
        LEFT + LENGTH + 140.0,
        row.ratios().text(2)
    );
}

/// Small counts only.
fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::super::row::{Metric, Row};
    use super::svg;

    #[test]
    fn bars_are_as_long_as_their_medians() {
        let row = Row {
            part: "memory",
            name: "job".to_owned(),
            metric: Metric::Iops,
            values: vec![vec![5.0, 10.0, 20.0], vec![20.0, 20.0, 20.0]],
            repeated: 0,
        };
        let svg = svg("IOPS", &["xenolith", "linux"], &[&row]);
        for part in [
            ">xenolith</text>",
            "width=\"215.0\"", // half of the longest
            "width=\"430.0\"",
            "M357.5 75.5H680.0", // a quarter to the whole
            "5/10/20",
            "ratio 0.25/0.50/1.00",
        ] {
            assert!(svg.contains(part), "{part}:\n{svg}");
        }
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }
}
