//! Which lines go where.

use super::*;

fn sessions_of(text: &str) -> Vec<serde_json::Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|line: &serde_json::Value| line["event"] == "session").collect()
}

#[test]
fn good_sessions_are_sampled_and_all_others_told() {
    let (_scratch, path) = scratch();
    let sampled = Log { sample: 100_000, ..json_to(LogTarget::File(path.clone())) };
    let (logger, writer) = Logger::start(&sampled).unwrap();
    for _ in 0..3_000 {
        logger.session(&record());
    }
    for _ in 0..500 {
        logger.session(&denied());
    }
    writer.close();
    let sessions = sessions_of(&std::fs::read_to_string(&path).unwrap());
    let good = sessions.iter().filter(|line| line["letters"] == "--").count();
    assert_eq!(sessions.len() - good, 500);
    // 300 of 3,000; ten standard deviations (16.4) on either side.
    assert!((136..=464).contains(&good), "{good}");
}

#[test]
fn a_sample_of_nothing_still_tells_what_went_wrong() {
    let (_scratch, path) = scratch();
    let quiet = Log { sample: 0, ..json_to(LogTarget::File(path.clone())) };
    let (logger, writer) = Logger::start(&quiet).unwrap();
    assert!(logger.wants_sessions());
    for record in [record(), denied(), record()] {
        logger.session(&record);
    }
    writer.close();
    let sessions = sessions_of(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["letters"], "PR");
}

#[test]
fn sessions_and_events_go_to_targets_of_their_own() {
    let (_scratch, path) = scratch();
    let (both, events) = (path.with_extension("both"), path.with_extension("events"));
    let mut outputs = vec![
        output(LogTarget::File(path.clone()), SessionFormat::Tcplog, EventFormat::Words),
        output(LogTarget::File(both.clone()), SessionFormat::Json, EventFormat::Json),
        output(LogTarget::File(events.clone()), SessionFormat::Json, EventFormat::Words),
    ];
    outputs[0].events = None;
    outputs[2].sessions = None;
    let (logger, writer) = Logger::start(&log(outputs)).unwrap();
    logger.session(&record());
    logger.event(Event::new("ready", "up"));
    writer.close();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    assert!(read(&path).ends_with(" 212 -- 1/1/0/0/0 0/0\n"), "{}", read(&path));
    assert_eq!(read(&path).lines().count(), 1);
    assert_eq!((read(&both).lines().count(), sessions_of(&read(&both)).len()), (2, 1));
    assert!(read(&events).ends_with("]: ready: up\n"), "{}", read(&events));
    assert_eq!(read(&events).lines().count(), 1);
    assert_eq!(logger.dropped_total(), 0);
}

#[test]
fn without_sessions_none_is_wanted() {
    let (_scratch, path) = scratch();
    let log = json_to(LogTarget::File(path.clone())).without_sessions();
    let (logger, writer) = Logger::start(&log).unwrap();
    assert!(!logger.wants_sessions());
    logger.session(&record());
    logger.event(Event::new("ready", "up"));
    writer.close();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
}
