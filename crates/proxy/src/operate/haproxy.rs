//! What comes by HAProxy's socket: questions are answered from the engine's figures, orders go the way
//! of the admin socket's.

use super::Operator;
use crate::admin::{
    Cut, Data, Desk, EndpointSet, EndpointWeight, Outcome, Patience, Peer, Reply, Request, Role,
    Serving, SessionClose, SessionList, Socket,
};
use crate::haproxy::{self, Answer, Change, Command, Target};
use crate::keeper::run_directory;
use eclusa_config::plan::{HaproxyLevel, HaproxySocket, Plan};
use std::rc::Rc;

/// Sessions that are told at most.
const SESSIONS: u32 = 10_000;
/// What stands in the log, and with an order, as its reason.
const REASON: &str = "over the HAProxy socket";
/// How the log calls the way by which orders came.
const FROM: &str = "HAProxy socket";

/// What answers there.
struct Window {
    operator: Rc<Operator>,
    desk: Rc<Desk<Rc<Operator>>>,
    level: HaproxyLevel,
}

impl Operator {
    /// Serves HAProxy's socket, where the plan wants one. That it cannot is no reason not to carry
    /// traffic: the log says so.
    pub(super) fn serve_haproxy(
        self: &Rc<Self>,
        plan: &Plan,
        desk: &Rc<Desk<Rc<Self>>>,
    ) -> Option<Serving> {
        let wanted = plan.haproxy_socket.as_ref()?;
        match self.open_haproxy(plan, wanted, desk) {
            Ok(serving) => Some(serving),
            Err(error) => {
                self.engine.warn(format!("no HAProxy socket: {error}"));
                None
            }
        }
    }

    fn open_haproxy(
        self: &Rc<Self>,
        plan: &Plan,
        wanted: &HaproxySocket,
        desk: &Rc<Desk<Rc<Self>>>,
    ) -> Result<Serving, String> {
        let directory =
            run_directory(plan.run_directory.as_deref()).map_err(|error| error.to_string())?;
        let opened = Socket::open_as(Role::Haproxy, &wanted.file, plan.program, &directory);
        let (socket, warning) = opened.map_err(|error| error.to_string())?;
        if let Some(warning) = warning {
            self.engine.warn(warning);
        }
        let place = format!("HAProxy socket {}", socket.place().display());
        self.engine.tell("haproxy_socket", place);
        let clients = wanted.clients_max;
        self.engine.metrics().set_haproxy_clients_max(u32::try_from(clients).unwrap_or(u32::MAX));
        let window = Window { operator: self.clone(), desk: desk.clone(), level: wanted.level };
        haproxy::serve(socket, window, clients, Patience::default())
            .map_err(|error| error.to_string())
    }
}

impl Answer for Window {
    async fn answer(&self, command: Command, by: &Peer) -> String {
        let engine = &self.operator.engine;
        let (metrics, view) = (engine.metrics(), engine.view());
        let or = |text: Option<String>, none: &str| text.unwrap_or_else(|| none.to_owned());
        match command {
            Command::Stat(wanted) => or(haproxy::stat(metrics, &view, &wanted), "No such proxy.\n"),
            Command::State(pool) => {
                or(haproxy::state(metrics, &view, pool.as_deref()), "Can't find backend.\n")
            }
            Command::Info => haproxy::info(metrics, &view),
            Command::Version => haproxy::version(),
            Command::Help => haproxy::help(),
            Command::Pools => {
                let names = view.pools.iter().map(|pool| format!("{}\n", pool.name()));
                "# name\n".to_owned() + &names.collect::<String>()
            }
            Command::Sessions => self.sessions(by).await,
            Command::Errors => {
                let (total, kept) = engine.refusals().all();
                haproxy::errors(total, kept)
            }
            Command::Weight(target) => match self.find(&target) {
                Ok((weight, file)) => format!("{weight} (initial {file})\n"),
                Err(told) => told,
            },
            Command::Change(..) if self.level == HaproxyLevel::Read => {
                "Permission denied\n".to_owned()
            }
            Command::Change(target, change) => self.change(target, change, by).await,
            Command::Nothing | Command::Prompt | Command::Quit => String::new(),
        }
    }

    fn came(&self, change: f64) {
        self.operator.engine.metrics().haproxy_client(change);
    }

    fn cut(&self, why: Cut) {
        self.operator.engine.metrics().haproxy_client_cut(why);
    }
}

impl Window {
    async fn sessions(&self, by: &Peer) -> String {
        let list = SessionList { limit: SESSIONS, ..SessionList::default() };
        match self.desk.perform(Request::SessionList(list), by, FROM).await {
            Reply { data: Data::Sessions(table), .. } => haproxy::sessions(&table),
            reply => lines(&reply.messages),
        }
    }

    async fn change(&self, target: Target, change: Change, by: &Peer) -> String {
        let file = match self.find(&target) {
            Ok((_, file)) => file,
            Err(told) => return told,
        };
        let Target { pool, endpoint } = target;
        let name = format!("{pool}/{endpoint}");
        let reason = Some(REASON.to_owned());
        let weigh = |weight: u64| {
            let weight = u16::try_from(weight.clamp(1, 256)).unwrap_or(1);
            let (pool, endpoint, reason) = (pool.clone(), endpoint.clone(), reason.clone());
            let for_seconds = None;
            Request::EndpointWeight(EndpointWeight { pool, endpoint, weight, for_seconds, reason })
        };
        let request = match change {
            Change::Weight(weight) => weigh(weight.into()),
            Change::Percent(percent) => weigh(u64::from(file) * u64::from(percent) / 100),
            Change::State(admin) => {
                let (for_seconds, force) = (None, false);
                let set = EndpointSet { pool, endpoint, admin, for_seconds, reason, force };
                Request::EndpointSet(set)
            }
            Change::Shutdown => {
                let (pool, endpoint) = (Some(pool), Some(endpoint));
                let close = SessionClose { pool, endpoint, ..SessionClose::default() };
                Request::SessionClose(close)
            }
        };
        if let Err(wrong) = request.check() {
            return wrong + "\n";
        }
        let reply = self.desk.perform(request, by, FROM).await;
        match reply.outcome {
            // What was done needs no words; what else there is to say stands behind an empty line,
            // which is what clients look at.
            Outcome::Done if reply.messages.len() < 2 => String::new(),
            Outcome::Done => "\n".to_owned() + &lines(&reply.messages[1..]),
            Outcome::Refused => {
                let program = self.operator.program.name();
                let told = reply.messages.join("; ");
                format!(
                    "Refused: {told} (with `{program} endpoint`, about {name}; nothing here passes \
                     a guard by).\n"
                )
            }
            Outcome::Failed | Outcome::Wrong => lines(&reply.messages),
        }
    }

    /// The weight of an endpoint, and what the file says; or what is wrong with its name.
    fn find(&self, target: &Target) -> Result<(u16, u16), String> {
        let pools = self.operator.engine.status().pools;
        let Some(pool) = pools.iter().find(|pool| *pool.name() == *target.pool) else {
            return Err("No such backend.\n".to_owned());
        };
        let (plan, all) = (pool.plan(), pool.endpoints());
        let written = plan.endpoints.iter().find(|written| *written.name == *target.endpoint);
        if let Some(written) = written {
            let endpoint = all.iter().find(|endpoint| *endpoint.name() == *target.endpoint);
            let weight = endpoint.map_or(written.weight, |endpoint| endpoint.weight());
            return Ok((weight, written.weight));
        }
        // One address of a name, as the table tells it.
        let name = target.endpoint.split_once('@').map(|(name, _)| name);
        match name.filter(|name| plan.endpoints.iter().any(|written| *written.name == **name)) {
            Some(name) => Err(format!(
                "No such server: orders are for all addresses of {}/{name} together.\n",
                target.pool
            )),
            None => Err("No such server.\n".to_owned()),
        }
    }
}

fn lines(messages: &[String]) -> String {
    messages.iter().map(|message| format!("{message}\n")).collect()
}
