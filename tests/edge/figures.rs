//! The page of metrics, and the admin socket, as a test asks them.

use crate::bed::Bed;
use e2e::product::PATIENCE;
use eclusa_testkit::process::binary;
use eclusa_testkit::wait::wait_until;
use std::process::Command;

/// Has the edge tell its figures to the outside clients.
pub(crate) const OBSERVED: &str = "\n[observe]\nlisten = [\"192.168.1.2:9643\"]\n";

/// The whole page.
pub(crate) fn page(bed: &Bed) -> String {
    bed.curl(&["http://192.168.1.2:9643/metrics"]).unwrap()
}

/// The value of a sample, written as the page writes it; of several workers or listeners that it does
/// not name, their sum. 0 where there is none.
pub(crate) fn value(page: &str, sample: &str) -> f64 {
    let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
    let labels = labels.trim_end_matches('}');
    let is_it = |key: &str| {
        let (found, rest) = key.split_once('{').unwrap_or((key, ""));
        found == name && labels.split(',').all(|label| rest.contains(label))
    };
    let samples = page.lines().filter_map(|line| line.rsplit_once(' '));
    samples.filter(|(key, _)| is_it(key)).map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

/// Waits until a sample has this value.
pub(crate) fn wait_for(bed: &Bed, sample: &str, wanted: f64) {
    let mut last = 0.0;
    wait_until(PATIENCE, &format!("{sample} {wanted}"), || {
        last = value(&page(bed), sample);
        last >= wanted
    });
    assert!((last - wanted).abs() < 0.5, "{sample}: {last}, not {wanted}");
}

/// What a command of the edge prints that asks the running program.
pub(crate) fn ask(bed: &Bed, words: &[&str]) -> String {
    let mut command = Command::new(binary("eclusa-edge").unwrap());
    command.args(words).arg("--socket").arg(bed.edge.run_directory().join("edge.sock"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
