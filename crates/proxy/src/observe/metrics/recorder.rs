//! The recorder behind the macros of the `metrics` crate, for what happens on the control side:
//! reloads, restarts. It knows the names of the table and no others, and its figures stand in the
//! same page as all.

use super::table::{self, Kind, Metric};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Series that it keeps at most: labels of the control side are words of our own.
const SERIES_MAX: usize = 1024;

/// The series of a metric, by the values of its labels.
type Series = BTreeMap<Vec<String>, Arc<AtomicU64>>;

/// Figures by name.
#[derive(Debug, Default)]
pub(super) struct ControlRecorder {
    series: Mutex<BTreeMap<&'static str, Series>>,
}

impl ControlRecorder {
    /// The samples of a metric, with the values of its labels.
    pub(super) fn samples(&self, metric: &Metric) -> Vec<(Vec<String>, f64)> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(samples) = series.get(metric.name) else { return Vec::new() };
        let value = |number: &AtomicU64| match (metric.kind, number.load(Ordering::Acquire)) {
            (Kind::Gauge, bits) => f64::from_bits(bits),
            #[allow(clippy::cast_precision_loss, reason = "what happens 2^53 times is not exact")]
            (_, count) => count as f64,
        };
        samples.iter().map(|(labels, number)| (labels.clone(), value(number))).collect()
    }

    fn register(&self, key: &Key, kind: Kind) -> Option<Arc<AtomicU64>> {
        let metric = table::all().find(|metric| metric.name == key.name())?;
        let of = |name: &&str| key.labels().find(|label| label.key() == *name);
        let values: Option<Vec<_>> =
            metric.labels.iter().map(|name| Some(of(name)?.value().to_owned())).collect();
        let values =
            values.filter(|values| metric.kind == kind && values.len() == key.labels().count())?;
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = series.values().map(BTreeMap::len).sum();
        let of_metric = series.entry(metric.name).or_default();
        if count >= SERIES_MAX && !of_metric.contains_key(&values) {
            return None;
        }
        Some(of_metric.entry(values).or_default().clone())
    }
}

impl Recorder for ControlRecorder {
    // What a metric is for stands in the table.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.register(key, Kind::Counter).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.register(key, Kind::Gauge).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics::{counter, gauge, with_local_recorder};

    #[test]
    fn names_and_labels_of_the_table_count_and_no_others() {
        let recorder = ControlRecorder::default();
        with_local_recorder(&recorder, || {
            counter!("eclusa_reloads_total", "outcome" => "done").increment(2);
            counter!("eclusa_reloads_total", "outcome" => "done").increment(1);
            counter!("eclusa_reloads_total").increment(1);
            counter!("eclusa_reloads_total", "outcome" => "done", "more" => "x").increment(1);
            counter!("eclusa_config_generation").increment(1);
            counter!("eclusa_unknown_total").increment(1);
            gauge!("eclusa_config_generation").set(7.0);
        });
        assert_eq!(recorder.samples(&table::RELOADS), [(vec!["done".to_owned()], 3.0)]);
        assert_eq!(recorder.samples(&table::GENERATION), [(vec![], 7.0)]);
        assert_eq!(recorder.series.lock().unwrap().len(), 2);
    }

    #[test]
    fn series_are_bounded() {
        let recorder = ControlRecorder::default();
        with_local_recorder(&recorder, || {
            for n in 0..2 * SERIES_MAX {
                counter!("eclusa_reloads_total", "outcome" => n.to_string()).increment(1);
            }
        });
        assert_eq!(recorder.samples(&table::RELOADS).len(), SERIES_MAX);
    }
}
