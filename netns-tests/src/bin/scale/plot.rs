//! The curves as SVG: a panel for each thing that there is more and more of, both axes logarithmic.

use crate::report::Growth;
use std::fmt::Write as _;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 260.0;
/// Room for the axes' numbers and the names of the curves.
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 28.0;
const COLOURS: [&str; 3] = ["#1b6ca8", "#c8553d", "#3f7d20"];

/// Draws the panels beside each other, two in a row.
pub(crate) fn draw(growth: &[Growth]) -> String {
    let rows = growth.len().div_ceil(2) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2.0 * WIDTH,
        rows * HEIGHT
    );
    for (place, growth) in growth.iter().enumerate() {
        let (x, y) = ((place % 2) as f64 * WIDTH, (place / 2) as f64 * HEIGHT);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
        panel(&mut svg, growth);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Powers of ten between which all values lie.
#[derive(Debug, Clone, Copy)]
struct Axis {
    first: i32,
    last: i32,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let exponents = values.filter(|value| *value > 0.0).map(f64::log10);
        let first = exponents.clone().fold(f64::INFINITY, f64::min);
        let last = exponents.fold(f64::NEG_INFINITY, f64::max);
        if first > last {
            return Self { first: 0, last: 1 };
        }
        let first = first.floor() as i32;
        Self {
            first,
            last: (last.ceil() as i32).max(first + 1),
        }
    }

    /// Where a value lies between the ends, 0 to 1; what has no logarithm lies at the first.
    fn place(self, value: f64) -> f64 {
        let exponent = value.max(10f64.powi(self.first)).log10();
        (exponent - f64::from(self.first)) / f64::from(self.last - self.first)
    }
}

fn panel(svg: &mut String, growth: &Growth) {
    let points = growth.curves.iter().flat_map(|(_, points)| points);
    let (numbers, values) = (
        Axis::of(points.clone().map(|p| p.0)),
        Axis::of(points.map(|p| p.1)),
    );
    let x = |number: f64| LEFT + numbers.place(number) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - values.place(value) * (HEIGHT - TOP - BOTTOM);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"16\" font-weight=\"bold\">{}</text>",
        growth.of
    );
    for exponent in numbers.first..=numbers.last {
        let at = x(10f64.powi(exponent));
        line(svg, (at, TOP), (at, HEIGHT - BOTTOM));
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 16.0,
            power(exponent)
        );
    }
    for exponent in values.first..=values.last {
        let at = y(10f64.powi(exponent));
        line(svg, (LEFT, at), (WIDTH - RIGHT, at));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 5.0,
            at + 4.0,
            power(exponent)
        );
    }
    for ((name, points), (place, colour)) in growth.curves.iter().zip(COLOURS.iter().enumerate()) {
        let corners = points
            .iter()
            .map(|(number, value)| format!("{:.1},{:.1}", x(*number), y(*value)));
        let corners: Vec<_> = corners.collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            corners.join(" ")
        );
        for (number, value) in points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*number),
                y(*value)
            );
        }
        let at = LEFT + place as f64 * 98.0;
        let _ = writeln!(
            svg,
            "<text x=\"{at}\" y=\"36\" fill=\"{colour}\">{name}</text>"
        );
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// A power of ten as people read it.
fn power(exponent: i32) -> String {
    match exponent {
        6.. => format!("{}M", 10u64.pow(exponent as u32 - 6)),
        3..=5 => format!("{}k", 10u64.pow(exponent as u32 - 3)),
        0..=2 => 10u64.pow(exponent as u32).to_string(),
        _ => format!(
            "{:.*}",
            exponent.unsigned_abs() as usize,
            10f64.powi(exponent)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_lies_inside_its_panel() {
        let growth = Growth {
            of: "ports",
            curves: vec![
                ("start, ms", vec![(2.0, 0.0), (1000.0, 12_345.0)]),
                ("none", vec![]),
            ],
        };
        let svg = draw(&[growth]);
        let places = |name: &str| -> Vec<f64> {
            let attribute = format!("{name}=\"");
            let parts = svg.split(&attribute).skip(1);
            parts
                .filter_map(|part| part.split('"').next()?.parse().ok())
                .collect()
        };
        assert!(
            places("cx")
                .iter()
                .all(|x| (LEFT..=WIDTH - RIGHT).contains(x))
        );
        assert!(
            places("cy")
                .iter()
                .all(|y| (TOP..=HEIGHT - BOTTOM).contains(y))
        );
        assert_eq!(places("cx").len(), 2);
    }
}
