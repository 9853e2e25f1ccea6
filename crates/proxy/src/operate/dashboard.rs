//! What the dashboard shows beside `status`, and where it is served.

use super::{Moment, Operator};
use crate::admin::{CertificateStatus, Desk, Operate, Peer, Reply, Request, Role, Socket};
use crate::dashboard::{
    self, Look, Past, Places, PoolQuorum, Serving, Shape, ShapeListener, ShapePart, ShapeRoute,
};
use crate::keeper::run_directory;
use crate::observe::http::bind;
use crate::observe::metrics::Metrics;
use crate::observe::{Event, Happened};
use crate::pool::{Endpoint, Pool};
use eclusa_config::explain::shares;
use eclusa_config::plan::{Admin, Listener, Plan, Program};
use eclusa_policy::quorum::Quorum;
use eclusa_policy::verdict::Outcome;
use std::rc::Rc;
use std::sync::Arc;

/// Events that are shown.
const EVENTS: usize = 200;
/// How the log calls the way by which orders came.
const FROM: &str = "dashboard";

/// What answers there.
struct Window {
    operator: Rc<Operator>,
    desk: Rc<Desk<Rc<Operator>>>,
}

/// A dashboard that is served, and the file of its socket.
pub(crate) struct ServedPage {
    _serving: Serving,
    _socket: Option<Socket>,
}

impl Operator {
    /// Serves the dashboard, where the plan wants one. That it cannot is no reason not to carry
    /// traffic: the log says so.
    pub(super) fn serve_page(
        self: &Rc<Self>,
        plan: &Plan,
        desk: &Rc<Desk<Rc<Self>>>,
    ) -> Option<ServedPage> {
        let wanted = &plan.dashboard;
        if !wanted.is_served() {
            return None;
        }
        let mut places = Places::default();
        for address in &wanted.listen {
            match bind(*address) {
                Ok(socket) => {
                    self.engine.tell("dashboard", format!("dashboard at http://{address}/"));
                    places.tcp.push(socket);
                }
                Err(error) => self.engine.warn(format!("no dashboard at {address}: {error}")),
            }
        }
        let mut socket = wanted.socket.as_ref().and_then(|_| self.page_socket(plan));
        places.unix = socket.as_mut().and_then(|socket| match socket.take_listener() {
            Ok(listener) => Some(listener),
            Err(error) => {
                self.engine.warn(format!("no dashboard: {error}"));
                None
            }
        });
        let window = Window { operator: Rc::clone(self), desk: Rc::clone(desk) };
        match dashboard::serve(window, wanted, places) {
            Ok(serving) => Some(ServedPage { _serving: serving, _socket: socket }),
            Err(error) => {
                self.engine.warn(format!("no dashboard: {error}"));
                None
            }
        }
    }

    /// The Unix socket of the dashboard, made as that of orders is.
    fn page_socket(&self, plan: &Plan) -> Option<Socket> {
        let path = plan.dashboard.socket.clone();
        let like = plan.admin.clone().unwrap_or_default();
        let opened = run_directory(plan.run_directory.as_deref())
            .map_err(|error| error.to_string())
            .and_then(|directory| {
                let file = Admin { socket: path, ..like };
                let opened = Socket::open_as(Role::Dashboard, &file, plan.program, &directory);
                opened.map_err(|error| error.to_string())
            });
        match opened {
            Ok((socket, warning)) => {
                if let Some(warning) = warning {
                    self.engine.warn(warning);
                }
                let place = socket.place().display();
                self.engine.tell("dashboard", format!("dashboard at {place}"));
                Some(socket)
            }
            Err(error) => {
                self.engine.warn(format!("no dashboard: {error}"));
                None
            }
        }
    }
}

impl Operate for Window {
    async fn perform(&self, request: Request, by: &Peer) -> Reply {
        self.desk.perform(request, by, FROM).await
    }
}

impl Look for Window {
    fn shape(&self) -> Shape {
        let plan = self.operator.engine.plan();
        let orders = plan.dashboard.token_file.is_some();
        Shape { orders, listeners: plan.listeners.iter().map(|it| listener(&plan, it)).collect() }
    }

    fn quorums(&self) -> Vec<PoolQuorum> {
        if self.operator.program != Program::Apiserver {
            return Vec::new();
        }
        self.operator.engine.status().pools.iter().map(quorum).collect()
    }

    fn shown_certificates(&self) -> Vec<CertificateStatus> {
        let services = self.operator.engine.services();
        let mut shown: Vec<_> = services.values().flat_map(|it| it.certificates()).collect();
        shown.sort_by(|one, other| (&one.file, &one.name).cmp(&(&other.file, &other.name)));
        shown.dedup_by(|one, other| (&one.file, &one.name) == (&other.file, &other.name));
        let status = |shown: crate::layer7::ShownCertificate| CertificateStatus {
            path: shown.file.display().to_string(),
            names: vec![shown.name.to_string()],
            not_after: shown.not_after.into(),
        };
        shown.into_iter().map(status).collect()
    }

    fn events(&self, after: u64) -> Vec<Arc<Happened>> {
        let (_, mut events) = self.operator.engine.recent().after(after);
        events.drain(..events.len().saturating_sub(EVENTS));
        events
    }

    fn history(&self, pool: &str, endpoint: &str) -> Option<Vec<Past>> {
        let pools = self.operator.engine.status().pools;
        let pool = pools.iter().find(|known| known.name() == pool)?;
        let endpoints = pool.endpoints();
        let mut named = endpoints.iter().filter(|known| *known.name() == *endpoint).peekable();
        named.peek()?;
        let mut past: Vec<Past> = named.flat_map(|endpoint| self.operator.past(endpoint)).collect();
        past.sort_by_key(|past| past.at);
        Some(past)
    }

    fn tell(&self, event: Event) {
        self.operator.engine.event(event);
    }

    fn metrics(&self) -> &Metrics {
        self.operator.engine.metrics()
    }
}

impl Operator {
    fn past(&self, endpoint: &Endpoint) -> Vec<Past> {
        let (now, moment) = (self.engine.time(), Moment::now());
        let results = endpoint.results();
        let past = |entry: &eclusa_policy::verdict::Entry| Past {
            at: moment.before(now.since(entry.at)),
            good: matches!(entry.outcome, Outcome::Good),
            what: entry.outcome.to_string(),
        };
        results.iter().map(past).collect()
    }
}

fn quorum(pool: &Arc<Pool>) -> PoolQuorum {
    let endpoints = pool.endpoints();
    let reports: Vec<_> = endpoints
        .iter()
        .map(|endpoint| (endpoint.report(), endpoint.admin() == crate::admin::AdminState::Ready))
        .collect();
    let quorum = Quorum::count(reports.iter().map(|(report, ready)| (report, *ready)));
    PoolQuorum {
        pool: pool.name().to_owned(),
        members: quorum.members,
        ready: quorum.ready,
        needed: quorum.needed(),
        can_lose: quorum.can_lose(),
    }
}

fn listener(plan: &Plan, listener: &Listener) -> ShapeListener {
    let speaks = match (listener.http.is_some(), listener.tls.is_some()) {
        (true, true) => "HTTPS",
        (true, false) => "HTTP",
        (false, true) => "TLS",
        (false, false) => "TCP",
    };
    let name = |index: usize| plan.pools.get(index).map_or("?", |pool| &*pool.name).to_owned();
    let route = |route: &eclusa_config::plan::Route| ShapeRoute {
        when: route.when.to_string(),
        to: shares(&route.target)
            .into_iter()
            .map(|(share, pool)| ShapePart { pool: name(pool), share })
            .collect(),
    };
    let routes = listener.routes.iter().map(route).collect();
    ShapeListener { name: listener.name.to_string(), speaks, routes }
}
