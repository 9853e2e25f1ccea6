//! Plots as SVG: a bar for each setup, a whisker from the smallest round to the largest. Each stands on
//! a card of its own colour, dark where the reader's system is, so that it can be read on any page.

use crate::case::Unit;
use crate::idle::IdleTable;
use crate::report::Table;
use crate::setup::OURS;
use crate::statistics::Spread;
use std::fmt::Write;

/// Pixels: of the whole, of the names, of the figures, of a row.
const WIDTH: f64 = 760.0;
const NAMES: f64 = 220.0;
const FIGURES: f64 = 170.0;
const ROW: f64 = 26.0;
/// Above the first row, and below the last.
const TOP: f64 = 56.0;
const BOTTOM: f64 = 34.0;
/// Marks on the axis, about.
const MARKS: f64 = 5.0;

/// Colours on light and on dark.
const STYLE: &str = "\
.card{fill:#fff;stroke:#d0d7de}.title{fill:#1f2328;font-weight:600}.text{fill:#1f2328}\
.faint{fill:#59636e}.axis{stroke:#d0d7de}.ours{fill:#0969da}.peer{fill:#8c959f}.other{fill:#c4cbd2}\
.whisker{stroke:#1f2328;stroke-width:1.5}\
@media(prefers-color-scheme:dark){.card{fill:#0d1117;stroke:#3d444d}.title,.text{fill:#f0f6fc}\
.faint{fill:#9198a1}.axis{stroke:#3d444d}.ours{fill:#4493f8}.peer{fill:#7d8590}.other{fill:#484f58}\
.whisker{stroke:#f0f6fc}}";

/// A bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose.
    pub name: String,
    /// How long.
    pub value: Spread,
    /// How it is drawn.
    pub kind: Kind,
}

/// How a bar is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Ours,
    /// A peer's setup that counts.
    Peer,
    /// One that another setup of the same candidate beats.
    Other,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
            Self::Other => "other",
        }
    }
}

/// The name of the file with the plot of a load.
#[must_use]
pub fn file_name(load: &str) -> String {
    let name: String =
        load.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{name}.svg")
}

/// The processor time per unit of a load's setups; `None` when nobody has any.
#[must_use]
pub fn of_table(table: &Table) -> Option<String> {
    let (scale, about) = match table.unit {
        Unit::Gigabyte => (1.0, "seconds of processor per GB"),
        Unit::RoundTrip => (1e6, "µs of processor per round trip"),
        Unit::Connection => (1e6, "µs of processor per connection"),
        Unit::Request => (1e6, "µs of processor per request"),
    };
    let bars = table.rows.iter().filter_map(|row| {
        let Spread { median, min, max } = row.cpu?;
        let kind = match (row.counts, row.candidate.as_str()) {
            (true, OURS) => Kind::Ours,
            (true, _) => Kind::Peer,
            (false, _) => Kind::Other,
        };
        let value = Spread { median: median * scale, min: min * scale, max: max * scale };
        Some(Bar { name: row.setup.clone(), value, kind })
    });
    draw(&table.name, &format!("{about}: less is better"), &bars.collect::<Vec<_>>())
}

/// The 99th percentile of latency of a load's setups in an open loop; `None` where there is none.
#[must_use]
pub fn of_open_loop(table: &Table) -> Option<String> {
    let paced = || table.rows.iter().filter_map(|row| Some((row, row.paced.as_ref()?)));
    let bars = paced().filter_map(|(row, paced)| {
        let kind = if row.candidate == OURS { Kind::Ours } else { Kind::Peer };
        Some(Bar { name: row.setup.clone(), value: paced.p99?, kind })
    });
    let (_, first) = paced().next()?;
    let about = format!("µs at {:.0} a second, 99th percentile: less is better", first.rate);
    draw(&latency_name(&table.name), &about, &bars.collect::<Vec<_>>())
}

/// What the plot of a load's latencies is called.
#[must_use]
pub fn latency_name(load: &str) -> String {
    format!("{load}, open loop")
}

/// The memory of idle sessions.
#[must_use]
pub fn of_idle(table: &IdleTable) -> Option<String> {
    let bars = table.rows.iter().filter_map(|row| {
        let each = row.found.as_ref()?.per_session.max(0.0);
        let kind = if row.setup.starts_with(OURS) { Kind::Ours } else { Kind::Peer };
        let value = Spread { median: each, min: each, max: each };
        Some(Bar { name: row.setup.clone(), value, kind })
    });
    let about = "KiB resident per idle session: less is better";
    draw(&table.name, about, &bars.collect::<Vec<_>>())
}

/// Draws bars from 0 on; `None` when there is nothing to draw.
#[must_use]
pub fn draw(title: &str, about: &str, bars: &[Bar]) -> Option<String> {
    let most = bars.iter().map(|bar| bar.value.max).max_by(f64::total_cmp)?;
    if most <= 0.0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss)]
    let height = TOP + ROW * bars.len() as f64 + BOTTOM;
    let scale = (WIDTH - NAMES - FIGURES) / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{0}: {1}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\">\n<style>{STYLE}</style>\n\
         <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{2}\" height=\"{3}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"16\" y=\"24\" font-size=\"15\">{0}</text>\n\
         <text class=\"faint\" x=\"16\" y=\"43\">{1}</text>\n",
        escaped(title),
        escaped(about),
        WIDTH - 1.0,
        height - 1.0
    );
    axis(&mut svg, most, scale, height);
    #[allow(clippy::cast_precision_loss)]
    for (index, bar) in bars.iter().enumerate() {
        one(&mut svg, bar, TOP + ROW * index as f64, scale);
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

/// Lines at round values, with the values below.
fn axis(svg: &mut String, most: f64, scale: f64, height: f64) {
    let step = step(most);
    let mut value = 0.0;
    while value <= most {
        let x = NAMES + value * scale;
        let _ = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>\
             <text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
            height - BOTTOM + 4.0,
            height - BOTTOM + 18.0,
            shown(value)
        );
        value += step;
    }
}

/// 1, 2 or 5 times a power of ten, so that there are about [`MARKS`] of them.
fn step(most: f64) -> f64 {
    let rough = most / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

fn one(svg: &mut String, bar: &Bar, y: f64, scale: f64) {
    let Spread { median, min, max } = bar.value;
    let (middle, x) = (y + ROW / 2.0, |value: f64| NAMES + value * scale);
    let _ = writeln!(
        svg,
        "<text class=\"text\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{}\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
        NAMES - 8.0,
        middle + 4.0,
        escaped(&bar.name),
        bar.kind.class(),
        y + 4.0,
        median * scale,
        ROW - 8.0
    );
    if max > min {
        let (left, right) = (x(min), x(max));
        let _ = writeln!(
            svg,
            "<path class=\"whisker\" fill=\"none\" d=\"M{left:.1} {middle:.1}H{right:.1}\
             M{left:.1} {:.1}v8M{right:.1} {:.1}v8\"/>",
            middle - 4.0,
            middle - 4.0
        );
    }
    let figure = if max > min {
        format!("{} ({}–{})", shown(median), shown(min), shown(max))
    } else {
        shown(median)
    };
    let _ = writeln!(
        svg,
        "<text class=\"text\" x=\"{:.1}\" y=\"{:.1}\">{figure}</text>",
        x(max) + 8.0,
        middle + 4.0
    );
}

/// With three digits that matter.
fn shown(value: f64) -> String {
    let digits = match value.abs() {
        small if small < 1e-9 => 0,
        small if small < 1.0 => 3,
        small if small < 10.0 => 2,
        small if small < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, median: f64, min: f64, max: f64) -> Bar {
        Bar { name: name.into(), value: Spread { median, min, max }, kind: Kind::Peer }
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_whiskers_as_their_spread() {
        let ours = Bar { kind: Kind::Ours, ..bar("eclusa", 10.0, 8.0, 12.0) };
        let svg = draw("a/1", "µs", &[ours, bar("nginx <1>", 37.0, 37.0, 37.0)]).expect("a plot");
        // 370 pixels for 37.
        assert!(svg.contains("class=\"ours\" x=\"220\" y=\"60.0\" width=\"100.0\""), "{svg}");
        assert!(svg.contains("class=\"peer\" x=\"220\" y=\"86.0\" width=\"370.0\""), "{svg}");
        assert!(svg.contains("d=\"M300.0 69.0H340.0M300.0 65.0v8M340.0 65.0v8\""), "{svg}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 1, "no spread, no whisker");
        assert!(svg.contains("10 (8–12)") && svg.contains("nginx &lt;1&gt;"));
        assert!(svg.contains("prefers-color-scheme:dark") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn marks_are_round_and_few() {
        for (most, wanted) in [(37.0, 10.0), (1.0, 0.2), (0.07, 0.02), (99.9, 20.0)] {
            assert!((step(most) / wanted - 1.0).abs() < 1e-9, "{most}: {}", step(most));
        }
        assert_eq!(
            [shown(0.0), shown(0.123_4), shown(5.0), shown(64.25)],
            ["0", "0.123", "5", "64.2"]
        );
    }

    #[test]
    fn nothing_is_not_drawn() {
        assert!(draw("a", "b", &[]).is_none());
        assert!(draw("a", "b", &[bar("x", 0.0, 0.0, 0.0)]).is_none());
        assert_eq!(file_name("http-small/64/bare"), "http-small-64-bare.svg");
    }
}
