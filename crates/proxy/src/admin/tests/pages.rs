//! `status` and `session` for people, as goldens: `BLESS=1 cargo test -p eclusa-proxy pages` writes
//! them anew.

use super::*;
use crate::admin::client::{has_colour, text_of};
use std::fs;

const AT: u64 = 1_795_582_800;

fn endpoint(name: &str, verdict: &str, why: &str, since: u64) -> EndpointStatus {
    EndpointStatus {
        name: name.to_owned(),
        address: format!("{name}:6443").parse().unwrap(),
        verdict: verdict.to_owned(),
        why: why.to_owned(),
        since: Moment::from_unix(AT - since),
        blind: false,
        correlated: false,
        admin: AdminStatus::default(),
        weight: 1,
        file_weight: None,
        backup: false,
        sessions: 137,
        failures: 0,
        results: String::new(),
    }
}

/// Two of three masters, all well.
pub(super) fn report() -> StatusReport {
    let good = "all checks are good";
    let silent = EndpointStatus {
        sessions: 0,
        failures: 12,
        results: "++++++x-----".to_owned(),
        ..endpoint("10.0.0.13", "dead", "no ServerHello in time, and no byte since", 400)
    };
    StatusReport {
        program: "eclusa-apiserver".to_owned(),
        version: "0.1.0".to_owned(),
        pid: 4711,
        generation: 1,
        at: Moment::from_unix(AT),
        uptime_seconds: 273_600,
        stopping: false,
        last_reload: None,
        file_refused: None,
        gone_back: None,
        unconfirmed: None,
        drill: None,
        workers: vec![
            WorkerStatus { alive: true, sessions: 140 },
            WorkerStatus { alive: true, sessions: 134 },
        ],
        listeners: vec![ListenerStatus {
            name: "apiserver".to_owned(),
            addresses: vec!["0.0.0.0:6443".parse().unwrap(), "[::]:6443".parse().unwrap()],
            sessions: 274,
        }],
        pools: vec![PoolStatus {
            name: "apiserver".to_owned(),
            availability: "fine".to_owned(),
            correlated: false,
            quorum: Some("2/3 ready, can lose 0".to_owned()),
            queued: 0,
            endpoints: vec![
                endpoint("10.0.0.11", "up", good, 273_590),
                endpoint("10.0.0.12", "up", good, 7_260),
                silent,
            ],
        }],
        certificates: Vec::new(),
        overrides: Vec::new(),
    }
}

/// Everything that can be wrong, or different.
fn trouble() -> StatusReport {
    let mut report = report();
    report.generation = 12;
    report.stopping = true;
    report.last_reload = Some(LastReload {
        at: Moment::from_unix(AT - 90),
        succeeded: false,
        message: "/etc/eclusa/apiserver.toml:3:11: `10.0.0.300` is no address; 2 errors".to_owned(),
    });
    report.file_refused = Some("edge.toml:1:1: unknown key `nonsense`\nand more".to_owned());
    report.workers[1].alive = false;
    let pool = &mut report.pools[0];
    pool.availability = "panic".to_owned();
    pool.correlated = true;
    pool.queued = 3;
    pool.endpoints[0].blind = true;
    pool.endpoints[0].why = "the check answers 401 or 403: its health is not known; allow anonymous \
                             requests to /livez and /readyz, or give the check a client certificate \
                             or token"
        .to_owned();
    pool.endpoints[1].admin = AdminStatus {
        state: AdminState::Drain,
        reason: Some("new kernel".to_owned()),
        until: Some(Moment::from_unix(AT + 3_600)),
    };
    pool.endpoints[1].weight = 20;
    pool.endpoints[1].file_weight = Some(1);
    pool.endpoints[2].correlated = true;
    pool.endpoints[2].backup = true;
    report.pools.push(PoolStatus {
        name: "supervisor".to_owned(),
        availability: "nobody".to_owned(),
        quorum: Some("0/1 ready, quorum lost: needs 1".to_owned()),
        endpoints: vec![EndpointStatus {
            name: "a-master-with-a-long-name.example".to_owned(),
            address: "[fd00:1:2:3:4:5:6:7]:9345".parse().unwrap(),
            admin: AdminStatus { state: AdminState::Maint, ..AdminStatus::default() },
            ..endpoint("10.0.0.14", "suspect", "a session's dial timed out", 4)
        }],
        correlated: false,
        queued: 0,
    });
    report.certificates = certificates();
    report.overrides = overrides();
    report
}

fn certificates() -> Vec<CertificateStatus> {
    let certificate = |path: &str, left: i64, names: &[&str]| CertificateStatus {
        path: path.to_owned(),
        names: names.iter().map(ToString::to_string).collect(),
        not_after: Moment::from_unix(AT.saturating_add_signed(left)),
    };
    vec![
        certificate(
            "/etc/letsencrypt/live/shop.example.com/fullchain.pem",
            5_000_000,
            &["shop.example.com", "*.shop.example.com"],
        ),
        certificate("/etc/eclusa/probe.crt", 86_400, &["probe"]),
        certificate("/etc/eclusa/old.crt", -5, &["\u{1b}[2Jevil"]),
    ]
}

fn overrides() -> Vec<OverrideStatus> {
    let order = |endpoint: &str, order: &str, file: &str| OverrideStatus {
        pool: "apiserver".to_owned(),
        endpoint: endpoint.to_owned(),
        order: order.to_owned(),
        file: file.to_owned(),
        at: Moment::from_unix(AT - 600),
        by: "root".to_owned(),
        until: None,
        reason: None,
        kept: true,
    };
    let until = Some(Moment::from_unix(AT + 3_600));
    let reason = Some("new kernel".to_owned());
    vec![
        OverrideStatus { until, reason, ..order("10.0.0.12", "drain", "ready") },
        OverrideStatus { kept: false, ..order("10.0.0.12", "weight 20", "weight 1") },
    ]
}

pub(super) fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{}", path.display());
}

pub(super) fn page(request: &Request, data: impl serde::Serialize, colour: bool) -> String {
    text_of(request, serde_json::to_value(data).unwrap(), colour).unwrap().unwrap()
}

#[test]
fn status_of_the_everyday() {
    compare("status.txt", &page(&Request::Status(StatusOf::default()), report(), false));
}

#[test]
fn status_in_trouble() {
    let text = page(&Request::Status(StatusOf::default()), trouble(), false);
    compare("trouble.txt", &text);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let status = Request::Status(StatusOf::default());
    let (plain, mut colourful) = (page(&status, trouble(), false), page(&status, trouble(), true));
    for code in ["0", "1", "31", "32", "33", "35"] {
        let escape = format!("\x1b[{code}m");
        assert!(colourful.contains(&escape) || code == "32", "{code}");
        colourful = colourful.replace(&escape, "");
    }
    assert_eq!(colourful, plain);
    assert!(page(&status, report(), true).contains("\x1b[32mup\x1b[0m"));
}

#[test]
fn colour_is_for_terminals_alone() {
    assert!(!has_colour(false));
}

/// On the way back, and there.
#[test]
fn status_on_trial() {
    let status = Request::Status(StatusOf::default());
    let (until, by) = (Moment::from_unix(AT + 43), "root".to_owned());
    let mut report = report();
    report.unconfirmed = Some(UnconfirmedStatus { until, by, trouble: None });
    let head = |text: String| text.split("\n\n").next().unwrap().to_owned() + "\n";
    let mut text = head(page(&status, &report, false));
    let trouble = Some("edge.toml:3: the file ca.pem cannot be read".to_owned());
    report.unconfirmed = report.unconfirmed.map(|it| UnconfirmedStatus { trouble, ..it });
    text += &head(page(&status, &report, false));
    report.unconfirmed = None;
    report.gone_back = Some("nobody confirmed within 1m what root reloaded".to_owned());
    text += &head(page(&status, &report, false));
    compare("trial.txt", &text);
}

#[test]
fn events() {
    let recent = Recent::default();
    recent.keep(&Event::new("verdict", "pool a: m1 is dead: refused").about("verdict", "dead"));
    recent.keep(&Event::new("panic", "pool a: \u{1b}[2J").about("panic", true));
    recent.keep(&Event::new("reloaded", "reloaded: 2 changes"));
    let mut table = Events::default().of(&recent);
    for (told, second) in table.events.iter_mut().zip(0..) {
        told.0.insert("at".to_owned(), format!("2026-11-25T05:00:0{second}.000Z").into());
    }
    let events = Request::Events(Events::default());
    let text = page(&events, table, false) + &page(&events, EventTable::default(), false);
    compare("events.txt", &text);
}

#[test]
fn sessions() {
    let routing = Session {
        id: "00ff00ff00ff00ff-123456".to_owned(),
        client: "[fd00::7]:51234".parse().unwrap(),
        pool: None,
        endpoint: None,
        address: None,
        server_name: None,
        step: "preamble".to_owned(),
        age_seconds: 0,
        idle_seconds: 0,
        bytes_up: 0,
        bytes_down: 0,
        ..session("1")
    };
    let list = Request::SessionList(SessionList::default());
    let sessions = vec![session("00ff00ff00ff00ff-1"), routing.clone()];
    let mut text = page(&list, SessionTable { matching: 2, sessions }, false);
    text += &page(&list, SessionTable::default(), false);
    let show = Request::SessionShow(SessionShow { session: "1".to_owned() });
    text += &page(&show, session("00ff00ff00ff00ff-1"), false);
    text += &page(&show, routing, false);
    compare("sessions.txt", &text);
}

#[test]
fn errors() {
    let answer = RefusedMessage {
        number: 8,
        message: "answer".to_owned(),
        pool: Some("shop".to_owned()),
        endpoint: Some("10.0.1.100:80".parse().unwrap()),
        part: "body".to_owned(),
        reason: "chunk_size".to_owned(),
        why: "a chunk size is not hexadecimal digits and CR LF".to_owned(),
        length: 9_000,
        offset: 8_003,
        from: 8_000,
        bytes: format!("4\\r\\n{}\u{1b}[2J", "x".repeat(100)),
        ..refused()
    };
    let at_end = RefusedMessage { number: 9, offset: 41, ..refused() };
    let messages = vec![refused(), answer, at_end];
    let errors = Request::Errors(Errors {});
    let mut text = page(&errors, RefusedTable { total: 9, messages }, false);
    text += &page(&errors, RefusedTable::default(), false);
    compare("errors.txt", &text);
    assert!(!text.contains('\u{1b}'));
}
