//! The page that Prometheus reads (text format 0.0.4): one family after another, in the order of the
//! table.

mod endpoints;
mod exchanges;
mod files;
mod listeners;
mod pools;
mod program;

use super::histogram::{Scale, Summed};
use super::table::{Kind, Metric};
use super::{Metrics, View};
use std::fmt::{Display, Write};

/// Everything that is counted, as text.
pub(crate) fn render(metrics: &Metrics, view: &View) -> String {
    // About 140 bytes a line, and some 20 lines for each endpoint.
    let endpoints: usize = view.pools.iter().map(|pool| pool.endpoints().len()).sum();
    let mut page = Page(String::with_capacity((16 << 10) + endpoints * 3072));
    program::write(&mut page, metrics, view);
    listeners::write(&mut page, metrics);
    files::write(&mut page, view);
    pools::write(&mut page, view);
    exchanges::write(&mut page, metrics, view);
    endpoints::write(&mut page, metrics, view);
    program::write_reach(&mut page, metrics);
    program::write_observed(&mut page, metrics);
    page.0
}

/// The page so far.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    /// What was written.
    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Begins a family.
    pub(crate) fn family(&mut self, metric: &Metric) {
        let Metric { name, kind, help, .. } = metric;
        let help = help.replace('\\', r"\\");
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.word());
    }

    /// A family of one sample without labels.
    fn single(&mut self, metric: &Metric, value: impl Display) {
        self.family(metric);
        self.sample(metric, &[], value);
    }

    /// A sample; `labels`: the values, in the order of the table.
    pub(crate) fn sample(&mut self, metric: &Metric, labels: &[&str], value: impl Display) {
        debug_assert!(metric.kind != Kind::Histogram, "{}", metric.name);
        self.0.push_str(metric.name);
        self.labels(metric, labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// A histogram; one that has counted nothing is left out.
    fn histogram(&mut self, metric: &Metric, labels: &[&str], scale: &Scale, summed: &Summed) {
        debug_assert!(metric.kind == Kind::Histogram, "{}", metric.name);
        if summed.count == 0 {
            return;
        }
        let mut below = 0;
        for (bound, count) in scale.0.iter().zip(summed.buckets) {
            below += count;
            self.bucket(metric, labels, &in_seconds(*bound).to_string(), below);
        }
        self.bucket(metric, labels, "+Inf", summed.count);
        self.part(metric, "_sum", labels, in_seconds(summed.microseconds));
        self.part(metric, "_count", labels, summed.count);
    }

    fn bucket(&mut self, metric: &Metric, labels: &[&str], bound: &str, count: u64) {
        self.0.push_str(metric.name);
        self.0.push_str("_bucket");
        self.labels(metric, labels, Some(bound));
        let _ = writeln!(self.0, " {count}");
    }

    fn part(&mut self, metric: &Metric, suffix: &str, labels: &[&str], value: impl Display) {
        self.0.push_str(metric.name);
        self.0.push_str(suffix);
        self.labels(metric, labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    fn labels(&mut self, metric: &Metric, values: &[&str], bound: Option<&str>) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let own = metric.labels.iter().copied().zip(values.iter().copied());
        let mut before = '{';
        for (name, value) in own.chain(bound.map(|bound| ("le", bound))) {
            self.0.push(before);
            before = ',';
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value);
            self.0.push('"');
        }
        if before == ',' {
            self.0.push('}');
        }
    }

    /// The value of a label: `\`, `"` and line feeds are escaped.
    fn escaped(&mut self, value: &str) {
        if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
            return self.0.push_str(value);
        }
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str(r"\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str(r"\n"),
                other => self.0.push(other),
            }
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "285 years are exact to the microsecond")]
fn in_seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::super::histogram::{ANSWERS, Histogram};
    use super::super::table;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_family() {
        let mut page = Page(String::new());
        page.family(&table::ACCEPTED);
        page.sample(&table::ACCEPTED, &["a \"b\" \\ \n"], 3);
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines[0], "# HELP eclusa_listener_sessions_total Sessions that began.");
        assert_eq!(lines[1], "# TYPE eclusa_listener_sessions_total counter");
        let escaped = r#"eclusa_listener_sessions_total{listener="a \"b\" \\ \n"} 3"#;
        assert_eq!(lines[2..], [escaped]);
    }

    #[test]
    fn buckets_are_cumulative() {
        let (mut page, histogram) = (Page(String::new()), Histogram::default());
        let mut summed = Summed::default();
        page.histogram(&table::DIAL, &["web"], &ANSWERS, &summed);
        assert_eq!(page.0, "", "nothing was counted");
        for milliseconds in [1, 2, 60_000] {
            histogram.record(&ANSWERS, Duration::from_millis(milliseconds));
        }
        summed.add(&histogram);
        page.histogram(&table::DIAL, &["web"], &ANSWERS, &summed);
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines.len(), 14 + 3);
        assert_eq!(lines[0], r#"eclusa_pool_dial_seconds_bucket{pool="web",le="0.0005"} 0"#);
        assert_eq!(lines[2], r#"eclusa_pool_dial_seconds_bucket{pool="web",le="0.0025"} 2"#);
        assert_eq!(lines[14], r#"eclusa_pool_dial_seconds_bucket{pool="web",le="+Inf"} 3"#);
        assert_eq!(lines[15], r#"eclusa_pool_dial_seconds_sum{pool="web"} 60.003"#);
        assert_eq!(lines[16], r#"eclusa_pool_dial_seconds_count{pool="web"} 3"#);
    }
}
