//! The dashboard as its clients see it, over what stands for a program.

use super::answer::{Site, respond};
use super::content::Content;
use super::live::{EVERY, Hub};
use super::{Look, Past, PoolQuorum, Shape};
use crate::admin::{
    AdminState, AdminStatus, CertificateStatus, Data, EndpointStatus, Moment, Operate, Outcome,
    Peer, PoolStatus, Reply, Request, StatusReport,
};
use crate::observe::metrics::{Metrics, Unwelcome};
use crate::observe::{Event, Happened};
use eclusa_config::plan::Dashboard;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Response, StatusCode};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

const TOKEN: &str = "a-token-of-26-characters-x";

/// Stands for a program with one endpoint.
struct Fake {
    metrics: Metrics,
    /// How often `status` was asked.
    asked: Cell<u32>,
    /// Sessions on the endpoint.
    sessions: Cell<u64>,
    orders: RefCell<Vec<Request>>,
    told: RefCell<Vec<String>>,
}

impl Fake {
    fn new() -> Rc<Self> {
        let metrics = Metrics::new(1, "eclusa-edge");
        metrics.dashboard_begins(2, 18);
        let (asked, sessions) = (Cell::new(0), Cell::new(0));
        Rc::new(Self {
            metrics,
            asked,
            sessions,
            orders: RefCell::default(),
            told: RefCell::default(),
        })
    }

    fn status(&self) -> StatusReport {
        self.asked.set(self.asked.get() + 1);
        let endpoint = EndpointStatus {
            name: "one".into(),
            address: SocketAddr::from(([10, 0, 0, 1], 80)),
            verdict: "up".into(),
            why: "all checks are good".into(),
            since: Moment::from_unix(1_000_000_000 + u64::from(self.asked.get() % 2)),
            blind: false,
            correlated: false,
            admin: AdminStatus::default(),
            weight: 1,
            file_weight: None,
            backup: false,
            sessions: self.sessions.get(),
            failures: 0,
            results: "++".into(),
        };
        StatusReport {
            program: "eclusa-edge".into(),
            version: "0".into(),
            pid: 1,
            generation: 1,
            at: Moment::from_unix(2_000_000_000),
            uptime_seconds: 5,
            stopping: false,
            last_reload: None,
            file_refused: None,
            gone_back: None,
            unconfirmed: None,
            drill: None,
            workers: Vec::new(),
            listeners: Vec::new(),
            pools: vec![PoolStatus {
                name: "web".into(),
                availability: "fine".into(),
                correlated: false,
                quorum: None,
                queued: 0,
                endpoints: vec![endpoint],
            }],
            certificates: Vec::new(),
            overrides: Vec::new(),
        }
    }
}

impl Operate for Rc<Fake> {
    async fn perform(&self, request: Request, _: &Peer) -> Reply {
        match request {
            Request::Status(_) => Reply::done(Data::Status(Box::new(self.status()))),
            order => {
                self.orders.borrow_mut().push(order);
                Reply::not_done(Outcome::Refused, "a guard says no")
            }
        }
    }
}

impl Look for Rc<Fake> {
    fn shape(&self) -> Shape {
        Shape::default()
    }

    fn quorums(&self) -> Vec<PoolQuorum> {
        Vec::new()
    }

    fn shown_certificates(&self) -> Vec<CertificateStatus> {
        Vec::new()
    }

    fn events(&self, _: u64) -> Vec<Arc<Happened>> {
        Vec::new()
    }

    fn history(&self, _: &str, endpoint: &str) -> Option<Vec<Past>> {
        (endpoint == "one").then(Vec::new)
    }

    fn tell(&self, event: Event) {
        self.told.borrow_mut().push(serde_json::to_string(&event).unwrap());
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// A dashboard that two may look at.
struct Bed {
    fake: Rc<Fake>,
    hub: Rc<Hub<Rc<Fake>>>,
    site: Site<Rc<Fake>>,
}

impl Bed {
    fn new(token_file: Option<PathBuf>) -> Self {
        let fake = Fake::new();
        let hub = Rc::new(Hub::new(fake.clone(), 2));
        let site = Site::new(hub.clone(), &Dashboard { token_file, ..Dashboard::default() });
        Self { fake, hub, site }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> Response<Content> {
        let mut request = hyper::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "127.0.0.1:9901");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
        let by = Peer::over_http(([127, 0, 0, 1], 4000).into());
        respond(&self.site, request, &by, Rc::new(Notify::new())).await
    }

    async fn get(&self, path: &str) -> Response<Content> {
        self.ask(Method::GET, path, &[], "").await
    }

    /// Sends an order with this token.
    async fn order(&self, token: &str, body: &'static str) -> StatusCode {
        let token = format!("Bearer {token}");
        let headers = [("authorization", &*token), ("content-type", "application/json")];
        self.ask(Method::POST, "/api/order", &headers, body).await.status()
    }

    fn refused(&self, why: Unwelcome) -> f64 {
        self.fake.metrics.dashboard_count(why)
    }
}

/// Runs a test on a reactor of one thread.
fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// The next event of a viewer: its kind and its data.
async fn next(body: &mut Content) -> (String, Value) {
    let frame = timeout(Duration::from_secs(5), body.frame()).await.expect("an event in time");
    let text = frame.unwrap().unwrap().into_data().unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    let of = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"))
    };
    (of("event: ").to_owned(), serde_json::from_str(of("data: ")).unwrap())
}

fn token_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("eclusa-dashboard-{name}-{}", std::process::id()));
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    path
}

#[test]
fn the_page_is_small_and_loads_nothing_from_elsewhere() {
    local(async {
        let (bed, mut whole) = (Bed::new(None), 0);
        for path in [
            "/",
            "/page.css",
            "/icon.svg",
            "/base.js",
            "/state.js",
            "/network.js",
            "/rest.js",
            "/page.js",
        ] {
            let response = bed.get(path).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            let policy = header("content-security-policy");
            assert!(
                policy.contains("script-src 'self';") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            let others = ["x-frame-options", "x-content-type-options", "cache-control"].map(header);
            assert_eq!(others, ["DENY", "nosniff", "no-store"]);
            let text = response.into_body().collect().await.unwrap().to_bytes();
            whole += text.len();
            let text = String::from_utf8(text.to_vec()).unwrap();
            let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!elsewhere.contains("://"), "{path}");
            assert!(
                !text.contains("style=\"") && !text.contains(" onclick"),
                "{path}: not by the CSP"
            );
        }
        assert!(whole < 100 << 10, "{whole} bytes");
        assert_eq!(bed.get("/etc/passwd").await.status(), StatusCode::NOT_FOUND);
        let posted = bed.ask(Method::POST, "/", &[], "").await;
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
        let got = bed.get("/api/order").await;
        assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    });
}

#[test]
fn other_names_and_other_sites_get_nothing() {
    local(async {
        let file = token_file("sites");
        let bed = Bed::new(Some(file.clone()));
        let evil = [("host", "evil.test:9901")];
        for path in ["/", "/live", "/page.js"] {
            let response = bed.ask(Method::GET, path, &evil, "").await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
        }
        assert_eq!(bed.refused(Unwelcome::Host), 3.0);
        let order = r#"{"pool":"web","endpoint":"one","admin":"drain"}"#;
        let right = format!("Bearer {TOKEN}");
        let right = [("authorization", &*right), ("content-type", "application/json")];
        for theirs in
            [("origin", "http://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            let headers = [right[0], right[1], theirs];
            let response = bed.ask(Method::POST, "/api/order", &headers, order).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{theirs:?}");
        }
        assert_eq!(bed.refused(Unwelcome::CrossSite), 3.0);
        // What a form of any site can send: no type of our own.
        let form = [right[0], ("content-type", "text/plain")];
        let response = bed.ask(Method::POST, "/api/order", &form, order).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(bed.fake.orders.borrow().is_empty());
        assert_eq!(bed.fake.asked.get(), 0);
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn orders_need_the_token_and_leave_a_trace_without_it() {
    local(async {
        let drain = r#"{"pool":"web","endpoint":"one","admin":"drain","reason":"disk"}"#;
        assert_eq!(Bed::new(None).order(TOKEN, drain).await, StatusCode::FORBIDDEN, "only shows");
        let file = token_file("orders");
        let bed = Bed::new(Some(file.clone()));
        for wrong in ["", "a-token-of-26-characters-y"] {
            assert_eq!(bed.order(wrong, drain).await, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(bed.refused(Unwelcome::Token), 2.0);
        assert_eq!(bed.fake.told.borrow().len(), 1, "told once in a while");
        assert!(bed.fake.orders.borrow().is_empty());
        for wrong in [
            r#"{"pool":"web","endpoint":"one","admin":"maint"}"#,
            r#"{"pool":"web","endpoint":"one","admin":"drain","force":true}"#,
            r#"{"pool":"web","endpoint":"one","admin":"drain","reason":"two\nlines"}"#,
            r#"{"pool":"web","endpoint":"one","admin":"drain","more":1}"#,
            "drain",
        ] {
            assert_eq!(bed.order(TOKEN, wrong).await, StatusCode::BAD_REQUEST, "{wrong}");
        }
        assert!(bed.fake.orders.borrow().is_empty());
        assert_eq!(bed.order(TOKEN, drain).await, StatusCode::CONFLICT, "what the guard said");
        {
            let orders = bed.fake.orders.borrow();
            let [Request::EndpointSet(set)] = &orders[..] else { panic!("{orders:?}") };
            assert_eq!((&*set.endpoint, set.admin), ("one", AdminState::Drain));
        }
        let told = bed.fake.told.borrow().join("\n");
        assert!(told.contains("dashboard, 127.0.0.1:4000"), "{told}");
        assert!(!told.contains(TOKEN), "{told}");
        // A new token counts at once.
        std::fs::write(&file, "another-token-of-its-own").unwrap();
        assert_eq!(bed.order("another-token-of-its-own", drain).await, StatusCode::CONFLICT);
        std::fs::remove_file(&file).unwrap();
        let status = bed.order("another-token-of-its-own", drain).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "no file, no orders");
    });
}

#[test]
fn one_state_a_second_whoever_looks_and_none_for_nobody() {
    local(async {
        let bed = Bed::new(None);
        spawn_local(bed.hub.clone().keep());
        tokio::task::yield_now().await;
        assert_eq!(bed.fake.asked.get(), 0, "nobody looks");
        let began = tokio::time::Instant::now();
        let mut first = bed.get("/live").await.into_body();
        let mut second = bed.get("/live").await.into_body();
        let (kind, all) = next(&mut first).await;
        assert_eq!(
            (&*kind, &all["pools"]["web"]["endpoints"]["one 10.0.0.1:80"]["verdict"]),
            ("all", &"up".into())
        );
        assert_eq!(next(&mut second).await.0, "all");
        let third = bed.get("/live").await;
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(bed.refused(Unwelcome::Viewers), 1.0);
        bed.fake.sessions.set(7);
        let expected = serde_json::json!({
            "pools": {"web": {"endpoints": {"one 10.0.0.1:80": {"sessions": 7}}}}
        });
        assert_eq!(
            next(&mut first).await,
            ("part".to_owned(), expected.clone()),
            "what changed, no more"
        );
        assert_eq!(next(&mut second).await, ("part".to_owned(), expected));
        let elapsed = began.elapsed();
        assert_eq!(bed.fake.asked.get(), 2, "for both of them");
        assert!(elapsed >= EVERY, "{elapsed:?}");
        // Who leaves makes room.
        drop(first);
        let again = async {
            loop {
                let response = bed.get("/live").await;
                if response.status() == StatusCode::OK {
                    return response.into_body();
                }
                tokio::task::yield_now().await;
            }
        };
        let mut again = timeout(Duration::from_secs(5), again).await.unwrap();
        assert_eq!(next(&mut again).await.0, "all", "a new viewer needs all of it");
    });
}
