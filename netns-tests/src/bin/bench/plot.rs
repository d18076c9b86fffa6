//! The ratios as a picture: a group of bars for each measure, a bar for each system, whiskers from
//! the least to the greatest. Plain SVG 1.1 without script or font, in colours that can be read on
//! white as on black.

use crate::{
    stats::Spread,
    systems::{PUMP, SWITCH},
};
use std::fmt::Write as _;

const WIDTH: u32 = 860;
/// Where bars begin and, for a ratio of [`SCALE_MAX`], end.
const BAR_LEFT: f64 = 230.0;
const BAR_RIGHT: f64 = 650.0;
/// Ratios beyond are cut, and their number told all the same.
const SCALE_MAX: f64 = 2.5;
const ROW: u32 = 16;
const BAR: u32 = 11;
/// Above a group, with its title.
const TITLE: u32 = 26;
const MARGIN: u32 = 16;

const TEXT: &str = "#7d8590";
const OURS: &str = "#2f81f7";
const PUMPS: &str = "#8b949e";
const KERNEL: &str = "#d29922";
const OTHERS: &str = "#3fb950";

/// A measure.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) measure: String,
    /// What the ratios are to; without one there are figures alone.
    pub(crate) reference: Option<String>,
    pub(crate) bars: Vec<Bar>,
}

/// A system.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) system: String,
    /// The figure with its unit.
    pub(crate) figure: String,
    pub(crate) spread: Option<Spread>,
}

/// Draws all of it.
pub(crate) fn svg(groups: &[Group], caption: &str) -> String {
    let rows: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = 3 * MARGIN + groups.len() as u32 * TITLE + rows as u32 * ROW + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"{TEXT}\">\n"
    );
    let title = "Ratios to the reference within a round: median, least to greatest";
    let _ = writeln!(text, "<title>{title}</title>");
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"{MARGIN}\">{title}. {}</text>",
        escaped(caption)
    );
    let mut y = 2 * MARGIN;
    for group in groups {
        y = draw(&mut text, group, y);
    }
    text.push_str("</svg>\n");
    text
}

/// Draws one measure from `top` on and returns where the next begins.
fn draw(text: &mut String, group: &Group, top: u32) -> u32 {
    let reference = group
        .reference
        .as_deref()
        .map_or(String::new(), |name| format!(", to {name}"));
    let _ = writeln!(
        text,
        "<text x=\"{MARGIN}\" y=\"{}\" font-weight=\"bold\">{}{}</text>",
        top + TITLE - 8,
        escaped(&group.measure),
        escaped(&reference)
    );
    let first = top + TITLE;
    let bottom = first + group.bars.len() as u32 * ROW;
    if group.reference.is_some() {
        let one = at(1.0);
        let _ = writeln!(
            text,
            "<line x1=\"{one:.1}\" y1=\"{}\" x2=\"{one:.1}\" y2=\"{bottom}\" stroke=\"{TEXT}\" stroke-dasharray=\"2 2\"/>",
            first - 3
        );
    }
    for (bar, y) in group.bars.iter().zip((first..).step_by(ROW as usize)) {
        draw_bar(text, bar, y);
    }
    bottom
}

fn draw_bar(text: &mut String, bar: &Bar, y: u32) {
    let (middle, baseline) = (f64::from(y) + f64::from(BAR) / 2.0, y + BAR - 2);
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>",
        BAR_LEFT - 6.0,
        escaped(&bar.system)
    );
    let mut told = bar.figure.clone();
    if let Some(spread) = &bar.spread {
        let (least, median, greatest) = (at(spread.least), at(spread.median), at(spread.greatest));
        let _ = writeln!(
            text,
            "<rect x=\"{BAR_LEFT:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{}\" fill-opacity=\"0.6\"/>\n\
             <path d=\"M{least:.1} {middle:.1}H{greatest:.1}M{least:.1} {}v6M{greatest:.1} {}v6\" \
             stroke=\"{TEXT}\" fill=\"none\" stroke-width=\"1.5\"/>",
            median - BAR_LEFT,
            colour(&bar.system),
            middle - 3.0,
            middle - 3.0,
        );
        told = format!("{} · {told}", spread.text());
    }
    let _ = writeln!(
        text,
        "<text x=\"{:.0}\" y=\"{baseline}\">{}</text>",
        BAR_RIGHT + 8.0,
        escaped(&told)
    );
}

/// Where a ratio lies.
fn at(ratio: f64) -> f64 {
    BAR_LEFT + ratio.clamp(0.0, SCALE_MAX) / SCALE_MAX * (BAR_RIGHT - BAR_LEFT)
}

fn colour(system: &str) -> &'static str {
    match system {
        name if name.starts_with(SWITCH) => OURS,
        name if name.starts_with(PUMP) => PUMPS,
        name if name.starts_with("bridge") => KERNEL,
        _ => OTHERS,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::MEASURES;

    /// Whether every tag is closed in its order, every attribute quoted and every `&` an entity.
    fn is_well_formed(xml: &str) -> bool {
        let mut open = vec![];
        let mut parts = xml.split('<');
        if parts.next().is_none_or(|before| !before.is_empty()) {
            return false;
        }
        for part in parts {
            let Some((tag, text)) = part.split_once('>') else {
                return false;
            };
            if text.contains('>') || tag.matches('"').count() % 2 == 1 {
                return false;
            }
            let entities = text.split('&').skip(1);
            if entities.into_iter().any(|rest| !rest.contains(';')) {
                return false;
            }
            let name = tag.split(' ').next().unwrap_or_default();
            match (name.strip_prefix('/'), tag.ends_with('/')) {
                (Some(closed), _) if open.pop() != Some(closed) => return false,
                (Some(_), _) | (None, true) => {}
                (None, false) => open.push(name),
            }
        }
        open.is_empty()
    }

    fn groups() -> Vec<Group> {
        let bar = |system: &str, ratio| Bar {
            system: system.to_owned(),
            figure: "1.0 Mpps".to_owned(),
            spread: Spread::of(&[ratio, 2.0 * ratio]),
        };
        let of = |name: &str| Group {
            measure: name.to_owned(),
            reference: Some("pump".to_owned()),
            bars: vec![bar(SWITCH, 0.9), bar("ovs & <others>", 7.0)],
        };
        MEASURES.iter().map(|measure| of(measure.name)).collect()
    }

    #[test]
    fn the_plot_is_xml_with_every_measure_and_system_in_it() {
        let text = svg(&groups(), "2 × a \"processor\" & more");
        assert!(is_well_formed(&text), "{text}");
        for measure in MEASURES {
            assert!(text.contains(&format!(">{}, to pump<", measure.name)));
        }
        assert_eq!(
            text.matches("ovs &amp; &lt;others&gt;").count(),
            MEASURES.len()
        );
    }

    #[test]
    fn what_is_beyond_the_scale_stays_within_the_picture() {
        assert_eq!(at(0.0), BAR_LEFT);
        assert_eq!(at(100.0), BAR_RIGHT);
        assert_eq!(at(f64::INFINITY), BAR_RIGHT);
    }

    #[test]
    fn the_check_for_xml_finds_what_is_none() {
        assert!(is_well_formed("<a b=\"1\"><c/>x &amp; y</a>"));
        for wrong in ["<a>", "<a></b>", "<a>&</a>", "<a b=\"></a>", "x<a/>"] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
