//! A frame on a screen of any size.

use super::frame::{Frame, Section};
use crate::cli::style::Paint;
use crate::cli::table::{Align, Cell};
use ratatui::Frame as Screen;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table};

/// Lines of a section beside its rows: title and heading.
const SECTION_LINES: usize = 2;

/// Draws header, sections and, at the bottom, the line about keys or trouble.
pub(super) fn draw(screen: &mut Screen<'_>, frame: &Frame, bottom: &Cell) {
    let area = screen.area();
    let header = frame.header.len().min(usize::from(area.height / 4).max(1));
    let left = usize::from(area.height).saturating_sub(header + 1);
    let wanted = frame
        .sections
        .each_ref()
        .map(|section| section.table.rows().len().max(1) + SECTION_LINES);
    let heights = shares(left, wanted);
    let lengths = std::iter::once(header)
        .chain(heights)
        .map(|lines| Constraint::Length(u16::try_from(lines).unwrap_or(u16::MAX)))
        .chain([Constraint::Fill(1), Constraint::Length(1)]);
    let areas = Layout::vertical(lengths).split(area);
    let [top, ports, flows, refused, _, keys] = *areas else {
        return;
    };
    let lines: Vec<Line> = frame.header.iter().map(line).collect();
    screen.render_widget(Paragraph::new(lines), top);
    for (section, area) in frame.sections.iter().zip([ports, flows, refused]) {
        draw_section(screen, section, area);
    }
    screen.render_widget(Paragraph::new(line(bottom)), keys);
}

fn draw_section(screen: &mut Screen<'_>, section: &Section, area: Rect) {
    let [title, below] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let (rows, room) = (
        section.table.rows(),
        usize::from(below.height).saturating_sub(1),
    );
    let text = match rows.len() {
        more if more > room => format!("{} ({room} of {more})", section.title),
        _ => section.title.clone(),
    };
    screen.render_widget(
        Paragraph::new(Line::styled(text, style(Paint::Strong))),
        title,
    );
    if rows.is_empty() {
        let nothing = Line::styled(section.nothing.clone(), style(Paint::Faint));
        return screen.render_widget(Paragraph::new(nothing), below);
    }
    let columns = section.table.columns();
    let aligned = |text: Span<'static>, align| match align {
        Align::Left => Line::from(text),
        Align::Right => Line::from(text).right_aligned(),
    };
    let heading = columns
        .iter()
        .map(|(title, align)| aligned(Span::styled(*title, style(Paint::Faint)), *align));
    let cells = |row: &Vec<Cell>| {
        let cells = row.iter().zip(columns);
        Row::new(cells.map(|(cell, (_, align))| {
            aligned(
                Span::styled(cell.text().to_owned(), style(cell.paint())),
                *align,
            )
        }))
    };
    let widths = section.table.widths().into_iter();
    let widths = widths.map(|width| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX)));
    let table = Table::new(rows.iter().take(room).map(cells), widths)
        .header(Row::new(heading))
        .column_spacing(2);
    screen.render_widget(table, below);
}

fn line(cell: &Cell) -> Line<'static> {
    Line::styled(cell.text().to_owned(), style(cell.paint()))
}

fn style(paint: Paint) -> Style {
    let style = Style::new();
    match paint {
        Paint::Plain => style,
        Paint::Good => style.green(),
        Paint::Bad => style.red(),
        Paint::Warn => style.yellow(),
        Paint::Strong => style.add_modifier(Modifier::BOLD),
        Paint::Faint => style.add_modifier(Modifier::DIM),
    }
}

/// Lines for each of three: an equal share at least, as far as it is wanted; what one leaves goes to the
/// others, from the first on.
fn shares(lines: usize, wanted: [usize; 3]) -> [usize; 3] {
    let mut given = wanted.map(|wanted| wanted.min(lines / 3));
    let mut left = lines - given.iter().sum::<usize>();
    for (given, wanted) in given.iter_mut().zip(wanted) {
        let more = left.min(wanted - *given);
        *given += more;
        left -= more;
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_section_leaves_goes_to_the_others_and_no_line_is_given_twice() {
        assert_eq!(shares(18, [3, 3, 3]), [3, 3, 3]);
        assert_eq!(shares(18, [30, 30, 30]), [6, 6, 6]);
        assert_eq!(shares(18, [3, 40, 3]), [3, 12, 3]);
        assert_eq!(shares(19, [40, 40, 3]), [10, 6, 3]);
        assert_eq!(shares(0, [5, 5, 5]), [0, 0, 0]);
    }
}
