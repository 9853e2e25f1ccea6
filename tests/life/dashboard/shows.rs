//! The dashboard in a real Chromium, for proofs: what it shows, what axe-core says of it, and whether
//! it stays smooth with a thousand endpoints.

use super::browser::{Browser, Screen, Tools, tools};
use super::{PAGE, address};
use e2e::plain::try_connect;
use e2e::product::{Product, Program};
use e2e::proof::Item;
use eclusa_testkit::apiserver::{MasterProcess, Settings};
use eclusa_testkit::ca::{Ca, client_hello};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::wait::pause;
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WIDE: Screen = Screen { width: 1280, height: 800, dark: false };
const DARK: Screen = Screen { dark: true, ..WIDE };
const PHONE: Screen = Screen { width: 390, height: 844, dark: false };
const DASHBOARD: &str = "dashboard = { listen = \"127.0.0.1:9901\" }\nworkers = 2\n";
const HEADLINE: &str = "document.querySelector('#headline').textContent";
/// What the page loads in all (bytes).
const PAGE_MOST: u64 = 100 * 1024;
/// A pool whose endpoints number a thousand with the others.
const POOLS: usize = 20;
const IN_A_POOL: usize = 50;
/// How long a page with a thousand endpoints is watched while everything changes.
const WATCHED: Duration = Duration::from_secs(20);
/// A page that is held up for longer, and a frame that comes later, is felt.
const FELT_MS: f64 = 100.0;

/// A page, and what axe-core has said of it so far.
struct Bed {
    browser: Browser,
    tools: Tools,
    product: Product,
    violations: Vec<String>,
    looked: usize,
}

impl Bed {
    fn start(tools: Tools, host: &Host, program: Program, config: &str) -> Self {
        let product = program.start(Some(host), config);
        let browser = Browser::start(&tools, host);
        Self { browser, tools, product, violations: Vec::new(), looked: 0 }
    }

    /// Looks at what the page shows on such a screen: axe-core, a picture, nothing cut off.
    fn look(&mut self, name: &str, screen: Screen) {
        self.browser.resize(screen);
        // Two frames later the wires are drawn anew.
        self.browser.value("new Promise((done) => setTimeout(done, 300))");
        let found = self.browser.violations(&self.tools.axe);
        self.violations.extend(found.into_iter().map(|it| format!("{name}: {it}")));
        let over = "document.documentElement.scrollWidth - innerWidth";
        if self.browser.value(over).as_f64() > Some(0.0) {
            self.violations.push(format!("{name}: wider than the screen"));
        }
        self.looked += 1;
        self.browser.picture(name);
    }

    /// Records what axe-core has said.
    fn finish(mut self, item: &str) {
        self.violations.append(&mut self.browser.complaints);
        for violation in &self.violations {
            println!("{violation}");
        }
        Item::new(item)
            .bound("no violation, nothing wider than the screen, no error of the script or the CSP")
            .n(self.looked)
            .record(self.violations.is_empty(), format!("{} found", self.violations.len()));
        drop(self.product);
    }
}

#[test]
fn masters_in_a_browser() {
    const TEST: &str = "masters_in_a_browser";
    if skipped(TEST) {
        return;
    }
    let Some(tools) = tools(TEST) else { return };
    let cluster = Cluster::new(Shape::default()).unwrap();
    let ca = Ca::new();
    let start = |host: &Host| {
        let settings = Settings::new(host.name(), &ca.leaf(&["kubernetes"]));
        MasterProcess::start(Some(host), host.at(6443), &ca, &["kubernetes"], &settings).unwrap()
    };
    let mut masters: Vec<_> = cluster.masters().map(start).collect();
    let names: Vec<_> = masters.iter().map(|master| master.address().ip().to_string()).collect();
    let config = format!("masters = {names:?}\n{DASHBOARD}");
    let mut bed = Bed::start(tools, &cluster.host("lb"), Program::Apiserver, &config);
    bed.browser.open(&address(), WIDE);
    bed.browser.wait(&format!("{HEADLINE} === 'All is well'"));
    bed.look("well", WIDE);
    masters[1].kill();
    let dead = bed.browser.wait(&format!("{HEADLINE}.includes('is dead')"));
    bed.browser.value("document.querySelector('#pools li.bad .row').click()");
    bed.browser.wait("document.querySelector('.details .past')");
    bed.look("dead", WIDE);
    bed.browser.value("document.querySelector('#pools li.bad .row').click()");
    masters[2].kill();
    let lost = bed.browser.wait(&format!("{HEADLINE}.startsWith('Quorum lost: 1 of 3')"));
    bed.look("quorum", WIDE);
    bed.look("phone", PHONE);
    bed.look("quorum-dark", DARK);
    whole_page(&mut bed);
    let worst = dead.max(lost);
    Item::new("2.3 from the kill of a master to the headline of the page")
        .bound("under 10 s")
        .n(2)
        .worst(format!("{:.1} s", worst.as_secs_f64()))
        .record(worst < Duration::from_secs(10), format!("{:.1} s", dead.min(lost).as_secs_f64()));
    bed.finish("2.4 axe-core: masters well, one dead, quorum lost; phone; dark");
}

/// What the browser has loaded for the page.
fn whole_page(bed: &mut Bed) {
    let sizes = "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType(\
                 'resource')].filter((it) => !it.name.includes('/live') && !it.name.includes('/api/'))\
                 .map((it) => [it.name, it.decodedBodySize])";
    let loaded = bed.browser.value(sizes);
    let loaded = loaded.as_array().unwrap();
    let own = loaded.iter().all(|it| it[0].as_str().unwrap().starts_with(&address()));
    let whole: u64 = loaded.iter().filter_map(|it| it[1].as_u64()).sum();
    Item::new("2.5 the page whole: HTML, style, script, picture")
        .bound("under 100 KiB, all of it from the address of the page")
        .n(loaded.len())
        .record(
            own && loaded.len() >= 3 && whole < PAGE_MOST,
            format!("{:.1} KiB", whole as f64 / 1024.0),
        );
}

#[test]
fn an_edge_with_twenty_routes_in_a_browser() {
    const TEST: &str = "an_edge_with_twenty_routes_in_a_browser";
    if skipped(TEST) {
        return;
    }
    let Some(tools) = tools(TEST) else { return };
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let _endpoint = echoes(&cluster);
    let mut bed = Bed::start(tools, &cluster.host("edge"), Program::Edge, &twenty_routes());
    bed.browser.open(&address(), WIDE);
    bed.browser.wait(&format!("{HEADLINE}.includes('no endpoint can take a session')"));
    let routes = bed.browser.value("document.querySelectorAll('.routes li').length");
    let wires = bed.browser.value("document.querySelectorAll('#wires path').length");
    assert_eq!((routes, wires), (21.into(), 21.into()));
    bed.look("edge", Screen { height: 1000, ..WIDE });
    bed.look("edge-dark", Screen { height: 1000, ..DARK });
    bed.look("edge-phone", PHONE);
    // `explain`, as a form and by the keyboard alone.
    bed.browser.resize(WIDE);
    bed.browser.value("document.querySelector('#x-from').focus()");
    bed.browser.call("Input.insertText", serde_json::json!({ "text": "203.0.113.7" }));
    bed.browser.value("document.querySelector('#x-sni').focus()");
    bed.browser.call("Input.insertText", serde_json::json!({ "text": "host3.example.net" }));
    // Two listeners: which one is meant must be said.
    bed.browser.value("document.querySelector('#x-port').value = '443'");
    press_enter(&mut bed.browser);
    bed.browser.wait("document.querySelector('#explained .verdict')?.textContent.includes('kong')");
    bed.browser.value("document.querySelector('#explain').scrollIntoView()");
    bed.look("explain", WIDE);
    bed.finish("2.6 axe-core: edge with twenty routes, dark, phone, explain by keyboard");
}

fn press_enter(browser: &mut Browser) {
    for kind in ["keyDown", "keyUp"] {
        let key = serde_json::json!({
            "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"
        });
        browser.call("Input.dispatchKeyEvent", key);
    }
}

/// An endpoint that answers on all virtual addresses.
fn echoes(cluster: &Cluster) -> Endpoint {
    let start = || Endpoint::start(([0, 0, 0, 0], 9000).into(), Kind::Echo);
    cluster.host("worker1").enter(start).unwrap()
}

fn pool(name: &str, endpoints: &[String]) -> String {
    format!("[pool.{name}]\nprobe = {{ kind = \"tcp\" }}\nendpoints = {endpoints:?}\n")
}

fn twenty_routes() -> String {
    let mut text = format!(
        "{DASHBOARD}[listener.https]\nlisten = [\"192.168.1.2:443\"]\npool = \"ingress\"\n"
    );
    let names = ["ingress", "kong", "tools", "data"];
    for number in 0..19 {
        let name = if number == 7 { "grafana" } else { names[number % 4] };
        // Of four in turn the second is kong's.
        let name = if number == 3 { "kong" } else { name };
        text.push_str(&format!(
            "[[listener.https.route]]\nserver_name = [\"host{number}.example.net\"]\npool = \"{name}\"\n"
        ));
    }
    text.push_str(
        "[listener.postgres]\nlisten = [\"192.168.1.2:5432\"]\npool = \"data\"\npeek = \"none\"\n",
    );
    let at = |last: u8, port: u16| format!("10.0.1.{last}:{port}");
    text + &pool("ingress", &[at(100, 9000), at(101, 9000), at(102, 9000)])
        + &pool("kong", &[at(103, 9000), at(104, 9001)])
        + &pool("tools", &[at(105, 9000), at(106, 9000)])
        + &pool("data", &[at(107, 9000)])
        + &pool("grafana", &[at(108, 9001)])
}

/// A thousand endpoints: ten addresses, each with many ports, of which all but few answer nobody.
fn a_thousand() -> String {
    let mut text =
        format!("{DASHBOARD}[listener.https]\nlisten = [\"192.168.1.2:443\"]\npool = \"pool-0\"\n");
    for number in 1..POOLS {
        text.push_str(&format!(
            "[[listener.https.route]]\nserver_name = [\"host{number}.example.net\"]\npool = \"pool-{number}\"\n"
        ));
    }
    for number in 0..POOLS {
        // All of 127.0.0.0/8 is this host.
        let at = |place: usize| format!("127.0.{}.{}:9000", number + 1, place + 1);
        text.push_str(&pool(
            &format!("pool-{number}"),
            &(0..IN_A_POOL).map(at).collect::<Vec<_>>(),
        ));
    }
    text
}

/// What the page notes of itself: tasks of 50 ms and more, and the times between frames.
const NOTE: &str = "(() => {
  window.tasks = []; window.frames_ms = [];
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((it) => it.duration)))
    .observe({ type: 'longtask' });
  let last = performance.now();
  const frame = (now) => { window.frames_ms.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
})()";

#[test]
fn a_thousand_endpoints_in_a_browser() {
    const TEST: &str = "a_thousand_endpoints_in_a_browser";
    if skipped(TEST) {
        return;
    }
    let Some(tools) = tools(TEST) else { return };
    let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
    let (host, client) = (cluster.host("edge"), cluster.host("outside1"));
    let listen = || Endpoint::start(([0, 0, 0, 0], 9000).into(), Kind::Echo).unwrap();
    let mut endpoint = Some(host.enter(listen));
    let mut bed = Bed::start(tools, &host, Program::Edge, &a_thousand());
    bed.browser.open(&address(), WIDE);
    bed.browser.wait(&format!("{HEADLINE} === 'All is well'"));
    bed.look("thousand", WIDE);
    // All of them in the page, not only those in trouble.
    bed.browser.value("document.querySelectorAll('.pool .more').forEach((it) => it.click())");
    bed.browser.wait("document.querySelectorAll('.row').length >= 1000");
    bed.browser.value(NOTE);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Sessions come and go on all pools, and every endpoint falls and rises.
        scope.spawn(|| come_and_go(&client, &over));
        let until = Instant::now() + WATCHED;
        while Instant::now() < until {
            pause(Duration::from_secs(4));
            endpoint = match endpoint.take() {
                Some(_) => None,
                None => Some(host.enter(listen)),
            };
        }
        over.store(true, Relaxed);
    });
    let numbers = |value: Value| -> Vec<f64> {
        value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
    };
    let tasks = numbers(bed.browser.value("window.tasks"));
    let frames = numbers(bed.browser.value("window.frames_ms"));
    bed.browser.picture("thousand-open");
    let longest = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let late = frames.iter().filter(|frame| **frame > FELT_MS).count();
    let passed = longest(&tasks) < FELT_MS && late * 100 <= frames.len();
    Item::new("2.7 a page with 1,000 endpoints, all shown, sessions coming and going, all falling and rising")
        .bound(format!(
            "no task of the page of {FELT_MS:.0} ms or more, at most 1 frame of 100 later than that"
        ))
        .n(frames.len())
        .worst(format!("task {:.0} ms, frame {:.0} ms", longest(&tasks), longest(&frames)))
        .record(passed, format!("{} tasks over 50 ms, {late} frames late", tasks.len()));
    bed.finish("2.8 axe-core: a thousand endpoints");
}

/// Some connections at a time, to all pools in turn.
fn come_and_go(client: &Host, over: &AtomicBool) {
    let address = SocketAddr::from(([192, 168, 1, 2], 443));
    let mut standing = std::collections::VecDeque::new();
    for number in (0..POOLS).cycle() {
        if over.load(Relaxed) {
            return;
        }
        let hello = client_hello(&format!("host{number}.example.net"), &[]);
        if let Ok(mut stream) = try_connect(client, address, Duration::from_secs(1)) {
            // Where nobody answers it is closed.
            let _ = stream.write_all(&hello);
            standing.push_back(stream);
        }
        if standing.len() > 200 {
            standing.pop_front();
        }
        pause(Duration::from_millis(10));
    }
}

#[test]
fn the_page_is_where_the_browser_looks() {
    assert_eq!(address(), format!("http://127.0.0.1:{}/", PAGE.1));
}
