//! Where a connection or a request goes, and why: the plan asked as traffic asks it.
//!
//! Access, rules and routes are evaluated by the functions that traffic runs through, with a trace
//! that remembers what was tried. `explain` shows what they heard, and the `expect` tables of a
//! document are compared with it.

mod question;
mod trace;
mod world;

pub use question::{Pair, Question};
pub use trace::{RouteTried, RuleTried, shares};

use crate::plan::{Listener, Peek, Plan};
use eclusa_policy::access::Decision;
use eclusa_policy::condition::{Asked, Facts, Reasons, Unknown, World, Written};
use eclusa_policy::route::{RouteTable, Target};
use eclusa_policy::rules::{Context, End, Id, Scheme, Spoken, decide_traced};
use question::Request;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use trace::Heard;
use world::Asking;

/// A client's port, where none is known; rules may write it into a header field.
const CLIENT_PORT: u16 = 50_000;

/// What becomes of a connection or a request.
#[derive(Debug)]
pub struct Explained<'p> {
    /// The listener that takes it.
    pub listener: &'p Listener,
    /// The client, as access, rules and routes see it.
    pub from: IpAddr,
    /// The address of the listener that it came to.
    pub destination: SocketAddr,
    /// The server name, as far as the listener looks at it.
    pub server_name: Option<String>,
    /// The request, where the listener speaks HTTP; `None`: it is carried as bytes.
    pub request: Option<Written>,
    /// What the access list says.
    pub access: Decision,
    /// The rules up to the one that ended the list, in order.
    pub rules: Vec<RuleTried>,
    /// The routes up to the one that took it, in order.
    pub routes: Vec<RouteTried>,
    /// What becomes of it.
    pub outcome: Outcome<'p>,
    /// What was taken for granted, and what else may happen on the way.
    pub notes: Vec<String>,
    /// A list in a file was asked.
    pub asked_lists: bool,
}

/// What becomes of a connection or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// The access list keeps the client out: the connection is closed.
    Denied,
    /// It is answered without an endpoint.
    Answered {
        /// With this status.
        status: u16,
        /// By this rule, counted from 0; `None`: whatever the rules say.
        rule: Option<usize>,
        /// Why, or with what, in words.
        what: String,
    },
    /// A rule ends its connection without an answer.
    Closed {
        /// This one, counted from 0.
        rule: usize,
    },
    /// A route takes it.
    Routed {
        /// Which, counted from 0.
        route: usize,
        /// Where that leads.
        target: &'p Target,
    },
    /// No route takes it: a connection is closed, a request answered with 404.
    Nowhere,
}

/// Explains what becomes of what `question` describes, where nobody knows how pools and counters stand.
///
/// # Errors
/// What the question lacks, or what is wrong with it, in words.
pub fn explain<'p>(plan: &'p Plan, question: &Question) -> Result<Explained<'p>, String> {
    explain_in(plan, question, &Unknown)
}

/// The same in this world.
///
/// # Errors
/// As [`explain`].
pub fn explain_in<'p>(
    plan: &'p Plan,
    question: &Question,
    world: &'p dyn World,
) -> Result<Explained<'p>, String> {
    Explainer { whole: true, world, ..Explainer::new(plan) }.explain(question)
}

/// Answers several questions about a plan.
pub(crate) struct Explainer<'p> {
    plan: &'p Plan,
    /// What is prepared of listeners, by their names.
    tables: HashMap<Arc<str>, RouteTable>,
    /// Routes that the index left out are explained, too.
    whole: bool,
    /// How pools and counters stand.
    world: &'p dyn World,
}

impl<'p> Explainer<'p> {
    /// For outcomes: routes that the index left out are no part of the answers.
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self { plan, tables: HashMap::new(), whole: false, world: &Unknown }
    }

    /// As [`explain`].
    pub(crate) fn explain(&mut self, question: &Question) -> Result<Explained<'p>, String> {
        let request = question.request()?;
        let (listener, destination) = question.listener(self.plan, request.is_some())?;
        let mut explained = begin(listener, destination, question, request)?;
        if matches!(explained.access, Decision::Allowed(_)) {
            let table = self.tables.entry(Arc::clone(&listener.name)).or_insert_with(|| {
                let routes = listener.routes.iter();
                RouteTable::new(routes.map(|it| (it.when.clone(), it.target.clone())))
            });
            explained.decide((table, self.whole), self.world);
        }
        Ok(explained)
    }
}

fn begin<'p>(
    listener: &'p Listener,
    destination: SocketAddr,
    question: &Question,
    request: Option<Request>,
) -> Result<Explained<'p>, String> {
    let mut notes = Vec::new();
    let (server_name, request) = seen(listener, question, request, &mut notes)?;
    let access = listener.access.decide(question.from);
    Ok(Explained {
        listener,
        from: question.from.to_canonical(),
        destination,
        server_name,
        request,
        access,
        rules: Vec::new(),
        routes: Vec::new(),
        outcome: Outcome::Denied,
        notes,
        asked_lists: false,
    })
}

/// Server name and request as the listener sees them.
fn seen(
    listener: &Listener,
    question: &Question,
    request: Option<Request>,
    notes: &mut Vec<String>,
) -> Result<(Option<String>, Option<Written>), String> {
    let name = &listener.name;
    let given = question.server_name()?;
    let looks = listener.peek == Peek::Tls;
    if given.is_some() && !looks {
        notes.push(format!(
            "listener {name} does not look at server names: the one given is not seen"
        ));
    }
    let given = given.filter(|_| looks);
    let Some(http) = &listener.http else {
        return match request {
            Some(_) => {
                Err(format!("listener {name} speaks no HTTP: leave out host, path and method"))
            }
            None => Ok((given, None)),
        };
    };
    let host = request.as_ref().filter(|request| !request.is_address() && listener.tls.is_some());
    let server_name = match (given, host) {
        (None, Some(request)) => {
            notes
                .push(format!("the server name is taken to be the host, {}", request.written.host));
            Some(request.written.host.clone())
        }
        (given, _) => given,
    };
    if http.passes(server_name.as_deref()) {
        notes.push(
            "`passthrough` names this server name: nobody looks into the connection".to_owned(),
        );
        return Ok((server_name, None));
    }
    let Some(request) = request else {
        return Err(format!("listener {name} speaks HTTP: the host and the path are missing"));
    };
    if listener.tls.as_ref().is_some_and(|tls| tls.strict)
        && server_name.as_ref() != Some(&request.written.host)
    {
        notes.push("421 if the certificate for that server name is not for the host".to_owned());
    }
    if http.limit.enforce {
        notes.push("429, or a closed connection, while the client is over a `limit`".to_owned());
    }
    Ok((server_name, Some(request.written)))
}

impl<'p> Explained<'p> {
    /// Rules and routes, as traffic asks them.
    fn decide(&mut self, (table, whole): (&RouteTable, bool), world: &dyn World) {
        let world = Asking::new(world);
        let (server_name, request) = (self.server_name.clone(), self.request.clone());
        let asked = request.as_ref().map(|request| Asked::new(request));
        let facts = Facts {
            request: asked.as_ref(),
            world: &world,
            ..Facts::of_connection(self.from, self.destination, server_name.as_deref())
        };
        let mut heard = Heard::new(Reasons::new(&facts));
        self.outcome = match self.answer(&facts, &mut heard) {
            Some(answered) => answered,
            None => self.route((table, whole), &facts, &mut heard),
        };
        self.asked_lists = heard.asked_lists();
    }

    /// How the request is answered without an endpoint, if it is.
    fn answer(&mut self, facts: &Facts<'_>, heard: &mut Heard<'_>) -> Option<Outcome<'p>> {
        let http = self.listener.http.as_ref().filter(|_| facts.request.is_some())?;
        if !http.connect && facts.request.is_some_and(|asked| asked.request().method() == "CONNECT")
        {
            let what = "CONNECT is not allowed".to_owned();
            return Some(Outcome::Answered { status: 405, rule: None, what });
        }
        let scheme = if self.listener.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let id = Id(&"explain");
        // What nobody has sent: as most clients would.
        let tls = if scheme == Scheme::Https { "TLSv1.3" } else { "" };
        let spoken = Spoken { http: "1.1", tls, hostname: "HOSTNAME" };
        let context = Context { facts: *facts, client_port: CLIENT_PORT, scheme, id, spoken };
        let mut shown = false;
        let decision = decide_traced(
            &http.rules,
            &context,
            // To find out would make this a place to guess passwords at.
            &mut |_, _| {
                shown = true;
                Some(true)
            },
            heard,
        );
        self.rules = heard.rules();
        if shown {
            self.notes
                .push("name and password are taken to be right; nobody has looked".to_owned());
        }
        for (what, sent) in [("path", &decision.path), ("host", &decision.host)] {
            if let Some(sent) = sent {
                self.notes.push(format!("the endpoint gets the {what} {sent}"));
            }
        }
        let rule = self.rules.last().map(|last| last.rule);
        let (status, what) = match &decision.end {
            None => return None,
            Some(End::Close) => return Some(Outcome::Closed { rule: rule.unwrap_or_default() }),
            Some(End::Redirect { status, location }) => (*status, format!("to {location}")),
            Some(End::Deny(status)) => (*status, "refused".to_owned()),
            Some(End::Answer(answer)) => (answer.status, "a fixed answer".to_owned()),
            Some(End::Challenge(_) | End::Verify(..)) => (401, "no name and password".to_owned()),
        };
        Some(Outcome::Answered { status, rule, what })
    }

    fn route(
        &mut self,
        (table, whole): (&RouteTable, bool),
        facts: &Facts<'_>,
        heard: &mut Heard<'_>,
    ) -> Outcome<'p> {
        let listener = self.listener;
        let found = table.choose(facts, heard).is_some();
        let mut tried = heard.routes();
        // An index tries what it finds first, and not all of that stands before the route that is
        // taken; what it leaves out cannot hold.
        tried.sort_by_key(|tried| tried.route);
        tried.dedup_by_key(|tried| tried.route);
        let taken = tried.iter().find(|tried| tried.why.held).map(|tried| tried.route);
        let end = taken.unwrap_or(listener.routes.len());
        debug_assert_eq!(taken.is_some(), found);
        tried.retain(|tried| tried.route <= end);
        self.routes = match whole {
            true => trace::in_order(&listener.routes, taken, tried, facts),
            false => tried,
        };
        match taken.and_then(|taken| listener.routes.get(taken)) {
            Some(route) => Outcome::Routed { route: end, target: &route.target },
            None => Outcome::Nowhere,
        }
    }
}

/// The names of the pools that a target leads to.
pub(crate) fn pools(plan: &Plan, target: &Target) -> Vec<Arc<str>> {
    let shares = shares(target).into_iter();
    shares.filter_map(|(_, pool)| Some(plan.pools.get(pool)?.name.clone())).collect()
}
