//! Files: appended to, moved away under load, full.

use super::*;
use eclusa_testkit::wait::wait_until;
use std::fs;

#[test]
fn lines_are_json_and_appended() {
    let (_scratch, path) = scratch();
    fs::write(&path, "{\"n\":0}\n").unwrap();
    let (logger, writer) = Logger::start(&json_to(LogTarget::File(path.clone()))).unwrap();
    for n in 1..10 {
        logger.event(Event::new("ready", "a \"quoted\" message").about("n", n));
    }
    writer.close();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(numbers(text.lines()), (0..10).collect::<Vec<_>>());
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "a \"quoted\" message");
    assert!(last["ts"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_rotation_under_load_loses_no_line() {
    let (scratch, path) = scratch();
    let (logger, writer) = Logger::start(&json_to(LogTarget::File(path.clone()))).unwrap();
    const THREADS: usize = 3;
    const EACH: usize = 20_000;
    let rotated = |number: usize| scratch.path().join(format!("log.{number}"));
    let mut rotations = 0;
    std::thread::scope(|scope| {
        let load = |thread: usize| {
            let logger = logger.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    logger.event(numbered(thread * EACH + n));
                    // The queue's bound is not the subject: it is given time.
                    while n % 64 == 0 && logger.shared.sinks[0].queue().0 > lane::LINES / 2 {
                        std::thread::yield_now();
                    }
                }
            })
        };
        let loads: Vec<_> = (0..THREADS).map(load).collect();
        while loads.iter().any(|load| !load.is_finished()) {
            // As logrotate does: move it away, then tell.
            fs::rename(&path, rotated(rotations)).unwrap();
            rotations += 1;
            logger.reopen();
            wait_until(PATIENCE, "the new file", || path.exists());
        }
    });
    writer.close();
    assert!(rotations > 5, "only {rotations}");
    let mut found = numbers(fs::read_to_string(&path).unwrap().lines());
    for number in 0..rotations {
        found.extend(numbers(fs::read_to_string(rotated(number)).unwrap().lines()));
    }
    found.sort_unstable();
    assert_eq!(logger.dropped_total(), 0);
    assert_eq!(found, (0..THREADS * EACH).collect::<Vec<_>>());
}

#[test]
fn a_file_that_cannot_be_opened_anew_is_written_on() {
    let (scratch, path) = scratch();
    let directory = scratch.path().join("away");
    let target = directory.join("log");
    fs::create_dir(&directory).unwrap();
    let mut outputs = vec![
        output(LogTarget::File(target.clone()), SessionFormat::Json, EventFormat::Json),
        output(LogTarget::File(path.clone()), SessionFormat::Json, EventFormat::Json),
    ];
    outputs[1].sessions = None;
    let (logger, writer) = Logger::start(&log(outputs)).unwrap();
    let moved = scratch.path().join("moved");
    fs::rename(&directory, &moved).unwrap();
    logger.reopen();
    wait_until(PATIENCE, "the trouble to be told", || {
        fs::read_to_string(&path).unwrap().contains("cannot be opened anew")
    });
    logger.event(numbered(1));
    writer.close();
    let text = fs::read_to_string(moved.join("log")).unwrap();
    assert_eq!(numbers(text.lines()), [1]);
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start() {
    let target = LogTarget::File("/nowhere/at/all/log".into());
    assert_eq!(Logger::start(&json_to(target)).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// `/dev/full` fails every write with `ENOSPC`.
#[test]
fn a_full_disk_drops_counts_and_ends_nothing() {
    let target = LogTarget::File("/dev/full".into());
    let (logger, writer) = Logger::start(&json_to(target)).unwrap();
    let lines = lane::LINES * 2;
    for n in 0..lines {
        logger.event(numbered(n));
    }
    assert!(logger.dropped_total() > 0);
    let began = Instant::now();
    writer.close();
    assert!(began.elapsed() < LAST_WORDS + Duration::from_secs(1));
}
