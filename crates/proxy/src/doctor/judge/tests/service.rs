//! The service, its unit, and what is in force.

use super::*;

#[test]
fn the_service_and_its_unit_are_told() {
    let finding = told(Program::Edge, EDGE, "service", |facts| {
        facts.service.status = Err("no socket".to_owned());
        facts.service.runs = false;
        facts.host.listening.clear();
    });
    has(&finding, Severity::Error, &["no socket", "systemctl start eclusa-edge"]);
    let finding = told(Program::Edge, EDGE, "service", |facts| {
        facts.service.status = Err("no socket".to_owned())
    });
    has(&finding, Severity::Warning, &["traffic is not touched"]);
    let finding =
        told(Program::Edge, EDGE, "service", |facts| status(facts).workers[0].alive = false);
    has(&finding, Severity::Error, &["1 of 1 workers"]);
    let finding =
        told(Program::Edge, EDGE, "service", |facts| status(facts).version = "0.0.9".to_owned());
    has(&finding, Severity::Warning, &["0.0.9", "systemctl restart eclusa-edge"]);
    let unit = |change: fn(&mut UnitState)| {
        told(Program::Edge, EDGE, "unit", |facts| change(facts.service.systemd.as_mut().unwrap()))
    };
    has(
        &unit(|it| it.active = "failed".into()),
        Severity::Error,
        &["failed", "journalctl -u eclusa-edge"],
    );
    has(&unit(|it| it.needs_reload = true), Severity::Warning, &["systemctl daemon-reload"]);
    has(
        &unit(|it| it.file = "disabled".into()),
        Severity::Warning,
        &["systemctl enable eclusa-edge"],
    );
    has(&unit(|it| it.restarts = 7), Severity::Warning, &["7 times"]);
    has(&unit(|it| it.load = "not-found".into()), Severity::Advice, &["apt install"]);
}

#[test]
fn what_is_in_force_must_be_the_files() {
    let reload = |change: &dyn Fn(&mut StatusReport)| {
        told(Program::Edge, EDGE, "reload", |facts| change(status(facts)))
    };
    let at = Moment::from_unix(NOW.unsigned_abs() - 90);
    let refused = reload(&|status| {
        let message = "/etc/eclusa/a.toml:3:1: unknown key\nmore".to_owned();
        status.last_reload = Some(LastReload { at, succeeded: false, message });
    });
    has(&refused, Severity::Warning, &["1 min 30 s ago", ":3:1: unknown key", "eclusa-edge check"]);
    assert!(!refused.found.contains("more"), "{}", refused.found);
    let until = Moment::from_unix(NOW.unsigned_abs() + 30);
    let trial = |trouble: Option<&str>| {
        reload(&|status| {
            let trouble = trouble.map(str::to_owned);
            status.unconfirmed = Some(UnconfirmedStatus { until, by: "ana".to_owned(), trouble });
        })
    };
    has(
        &trial(None),
        Severity::Warning,
        &["by ana", "30 s", "eclusa-edge confirm", "eclusa-edge rollback"],
    );
    has(&trial(Some("address taken")), Severity::Error, &["cannot go back: address taken"]);
    has(
        &reload(&|status| status.gone_back = Some("nobody confirmed".into())),
        Severity::Warning,
        &["gone back"],
    );
    has(
        &reload(&|status| status.file_refused = Some("broken".into())),
        Severity::Error,
        &["broken"],
    );
    let finding = told(Program::Edge, EDGE, "pools", |facts| {
        status(facts).pools = vec![pool("web", "nobody", vec![endpoint("a", 0)])];
    });
    has(&finding, Severity::Error, &["pool web", "a dead: refused", "eclusa-edge status web"]);
    let finding = told(Program::Edge, EDGE, "pools", |facts| {
        status(facts).pools = vec![pool("web", "panic", vec![endpoint("a", 0)])];
    });
    has(&finding, Severity::Error, &["least bad"]);
    let finding = told(Program::Edge, EDGE, "configuration", |facts| {
        let (found, remedy) = ("a.toml:1:1: odd".to_owned(), "write it otherwise".to_owned());
        facts.told = vec![Told { is_error: false, found, remedy }];
    });
    has(&finding, Severity::Warning, &["a.toml:1:1: odd", "write it otherwise"]);
}
