//! What several tests here need, the socket as a whole, and the page of the table.

use super::rows::Row;
use super::*;
use crate::admin::{AdminState, Cut, Patience, Peer, Role, Socket};
use crate::engine::reactor;
use crate::observe::{Faces, View};
use crate::pool::{Ordered, Pool};
use eclusa_config::plan::{Admin, Program};
use eclusa_config::{Mode, parse};
use eclusa_policy::time::Time;
use eclusa_testkit::process::Scratch;
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

const CONFIG: &str = "
[listener.web]
listen = [\"127.0.0.1:9000\"]
pool = \"pool\"
[pool.pool]
probe = { kind = \"tcp\" }
endpoints = [
  { name = \"m1\", address = \"10.0.0.11:6443\" },
  { name = \"m2\", address = \"10.0.0.12:6443\" },
  { name = \"m3\", address = \"10.0.0.13:6443\", weight = 5, backup = true, sessions_max = 9 },
]
";

/// An engine's figures and state, before any traffic; `m2` is taken out.
fn parts() -> (Metrics, View) {
    let plan = parse(Program::Edge, "t", CONFIG, Mode::Offline).unwrap().plan;
    let metrics = Metrics::new(1, "eclusa-edge");
    let pool = Arc::new(Pool::new(plan.pools[0].clone(), &metrics));
    pool.set_ordered(|name| Ordered {
        admin: if name == "m2" { AdminState::Maint } else { AdminState::Ready },
        weight: None,
    });
    let view = View {
        program: Program::Edge,
        now: Time::from_millis(7_000),
        pools: Arc::new(vec![pool]),
        routed: vec![0],
        services: Arc::default(),
        lists: Arc::default(),
        faces: Arc::new(Faces::of(&plan)),
        sessions: vec![0],
        permits: 0,
        sessions_max: 100,
        signals: (0, 1),
        log_queue: (0, 1),
        log_dropped: 0,
        followers: (0, 0),
    };
    (metrics, view)
}

pub(super) fn rows() -> Vec<Row> {
    let (metrics, view) = parts();
    super::rows::rows(&metrics, &view)
}

#[test]
fn rows_tell_what_is_known_and_no_more() {
    let (metrics, view) = parts();
    let text = stat(&metrics, &view, &Wanted::default()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("web,FRONTEND,,,0,,100,0,0,0,,,0,,,,,OPEN,,,"), "{}", lines[1]);
    assert!(
        lines[2].starts_with("pool,m1,,,0,,,0,,,,,,0,,,,UP 1/3,1,1,0,,,7,,,1,2,1,,0,,2,,,,INI,"),
        "{}",
        lines[2]
    );
    assert!(lines[3].starts_with("pool,m2,,,0,,,0,,,,,,0,,,,MAINT,1,1,0,"), "{}", lines[3]);
    assert!(lines[4].starts_with("pool,m3,,,0,,9,0,,,,,,0,,,,UP 1/3,5,0,1,"), "{}", lines[4]);
    // m2 takes nothing: its weight is no part of the sum.
    let pool = "pool,BACKEND,0,,0,,,0,0,0,,,,0,,0,0,UP,1,1,1,";
    assert!(lines[5].starts_with(pool), "{}", lines[5]);
    assert!(lines[2].contains(",10.0.0.11:6443,,tcp,"), "{}", lines[2]);
    assert_eq!(stat(&metrics, &view, &Wanted { proxy: Proxy::Name("x".into()), ..all() }), None);
    assert_eq!(state(&metrics, &view, Some("web")), None, "a listener is no pool");
}

fn all() -> Wanted {
    Wanted::default()
}

#[test]
fn the_exporters_names_tell_the_same() {
    let (metrics, view) = parts();
    let page = exported(&metrics, &view);
    let has = |line: &str| assert!(page.lines().any(|it| it == line), "{line} in\n{page}");
    has("haproxy_server_status{proxy=\"pool\",server=\"m2\",state=\"MAINT\"} 1");
    has("haproxy_server_status{proxy=\"pool\",server=\"m2\",state=\"UP\"} 0");
    has("haproxy_server_status{proxy=\"pool\",server=\"m1\",state=\"UP\"} 1");
    has("haproxy_backend_status{proxy=\"pool\",state=\"UP\"} 1");
    has("haproxy_backend_active_servers{proxy=\"pool\"} 1");
    has("haproxy_backend_agg_server_status{proxy=\"pool\",state=\"MAINT\"} 1");
    has("haproxy_frontend_limit_sessions{proxy=\"web\"} 100");
    has("haproxy_process_max_connections 100");
    has("# TYPE haproxy_frontend_sessions_total counter");
    // What only HTTP has is not there, and each family once.
    assert!(!page.contains("haproxy_frontend_http_"), "{page}");
    let mut heads: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let count = heads.len();
    heads.sort_unstable();
    heads.dedup();
    assert_eq!(heads.len(), count);
}

#[test]
fn hatops_figures_are_all_in_show_info() {
    let (metrics, view) = parts();
    let text = info(&metrics, &view);
    for name in [
        "Name",
        "Version",
        "Release_date",
        "Nbproc",
        "Process_num",
        "Pid",
        "Uptime",
        "Maxconn",
        "CurrConns",
        "Maxpipes",
        "PipesUsed",
        "Tasks",
        "Run_queue",
        "node",
    ] {
        assert!(text.lines().any(|line| line.starts_with(&format!("{name}: "))), "{name}: {text}");
    }
}

/// Answers with the command itself.
#[derive(Clone, Default)]
struct Echo {
    here: Rc<RefCell<f64>>,
    cut: Rc<RefCell<Vec<Cut>>>,
}

impl Answer for Echo {
    async fn answer(&self, command: Command, _: &Peer) -> String {
        match command {
            Command::Info => "info\n".to_owned(),
            Command::Version => "x".repeat(8 << 20),
            _ => String::new(),
        }
    }

    fn came(&self, change: f64) {
        *self.here.borrow_mut() += change;
    }

    fn cut(&self, why: Cut) {
        self.cut.borrow_mut().push(why);
    }
}

/// Runs `clients` against a socket of `max` clients, and returns why any were cut.
fn with_socket(
    max: usize,
    patience: Patience,
    clients: impl FnOnce(&std::path::Path) + Send + 'static,
) -> Vec<Cut> {
    let scratch = Scratch::new("haproxy").unwrap();
    let admin = Admin { socket: Some(scratch.path().join("h.sock")), ..Admin::default() };
    let opened = Socket::open_as(Role::Haproxy, &admin, Program::Edge, scratch.path());
    let (socket, _) = opened.unwrap();
    let path = socket.place().to_owned();
    let echo = Echo::default();
    let kept = echo.clone();
    reactor().unwrap().block_on(async move {
        let _serving = serve(socket, echo, max, patience).unwrap();
        tokio::task::spawn_blocking(move || clients(&path)).await.unwrap();
        while *kept.here.borrow() > 0.0 {
            tokio::task::yield_now().await;
        }
        kept.cut.borrow().clone()
    })
}

fn say(path: &std::path::Path, text: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn one_line_and_its_answer_unless_a_prompt_is_asked_for() {
    let cut = with_socket(4, Patience::default(), |path| {
        assert_eq!(say(path, "show info\n"), "info\n\n");
        assert_eq!(say(path, "show info;set timeout cli 9; show info\n"), "info\n\n\ninfo\n\n");
        assert_eq!(say(path, "prompt\nshow info\n\nquit\nshow info\n"), "\n> info\n\n> \n> ");
        assert_eq!(say(path, "show info;quit;show info\n"), "info\n\n");
        let unknown = say(path, "show stat json\n");
        assert!(unknown.contains("`json` is not supported here"), "{unknown}");
        assert_eq!(say(path, &(";".repeat(40) + "\n")), "more than 32 commands in a line\n\n");
    });
    assert_eq!(cut, []);
}

#[test]
fn long_lines_and_slow_clients_are_cut_and_others_wait() {
    let short = Duration::from_millis(100);
    let patience = Patience { idle: short, line: short, stalled: short, reply: LONG };
    let cut = with_socket(2, patience, |path| {
        let long = say(path, &("x".repeat(5 << 10) + "\n"));
        assert!(long.contains("more than 4 KiB"), "{long}");
        let half = say(path, "show in");
        assert!(half.contains("half a line"), "{half}");
        // Both places are taken by clients that ask nothing: the third is served after them.
        let idle = [UnixStream::connect(path).unwrap(), UnixStream::connect(path).unwrap()];
        assert_eq!(say(path, "show info\n"), "info\n\n");
        drop(idle);
        // One that does not read a large answer.
        let mut slow = UnixStream::connect(path).unwrap();
        slow.write_all(b"show version\n").unwrap();
        // It ends, and so does the wait for it, before the answer is whole.
        slow.set_read_timeout(Some(LONG)).unwrap();
        let mut one = [0; 1];
        slow.read_exact(&mut one).unwrap();
        eclusa_testkit::wait::pause(Duration::from_millis(300));
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = slow.read_to_end(&mut rest);
        assert!(rest.len() < 8 << 20, "{}", rest.len());
    });
    let of = |why| cut.iter().filter(|it| **it == why).count();
    assert_eq!((of(Cut::Line), of(Cut::Idle), of(Cut::Slow)), (2, 2, 1), "{cut:?}");
}

/// The columns in which something is told, with the exporter's names, as the page has them.
fn columns() -> String {
    let mut text = String::from("| column | tells | metric |\n|---|---|---|\n");
    for table::Column { name, told, exported, .. } in table::COLUMNS {
        if told.is_empty() && exported.is_empty() {
            continue;
        }
        let names: Vec<String> =
            exported.iter().map(|(_, metric)| format!("`{}`", metric.name)).collect();
        text += &format!("| `{name}` | {told} | {} |\n", names.join(", "));
    }
    text
}

#[test]
fn the_page_tells_every_column() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/haproxy-compat.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once("<!-- columns -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of columns -->\n").unwrap();
    let expected =
        format!("{before}<!-- columns -->\n{}<!-- end of columns -->\n{after}", columns());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, expected).unwrap();
    } else {
        assert!(page == expected, "run: BLESS=1 cargo test -p eclusa-proxy --lib haproxy");
    }
}
