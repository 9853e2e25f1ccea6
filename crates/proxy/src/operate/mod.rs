//! What the operator asks of a running engine and orders it to do: reload, status, sessions,
//! endpoints. Orders outlive a reload and a restart; for a field that has changed in the file since
//! the file wins.
//!
//! | file | what |
//! |---|---|
//! | `reload` | the file, read again |
//! | `back` | what was in force before: on trial, confirmed, put back |
//! | `save` | what was ordered, for the file |
//! | `endpoints` | admin states and weights |
//! | `membership` | endpoints that come and go by order |
//! | `drill` | endpoints that are treated for a while as if they failed |
//! | `sessions` | finding and closing them |
//! | `plan` | what a reload would do |
//! | `haproxy` | what comes by HAProxy's socket |
//! | `explain` | where traffic goes, and why |
//! | `status` | how everything is |
//! | `dashboard` | what its page shows beside, and where it is served |

mod back;
mod dashboard;
mod drill;
mod endpoints;
mod explain;
mod haproxy;
mod membership;
mod plan;
mod reload;
mod save;
mod sessions;
mod status;

use crate::admin::{
    self, Amended, Data, Desk, LastReload, Moment, Operate, Outcome, Patience, Peer,
    RefusedMessage, RefusedTable, Reply, Request, Serving, Socket, State,
};
use crate::engine::Engine;
use crate::keeper::{Client, run_directory};
use crate::observe::Recent;
use back::Texts;
use drill::Drills;
use eclusa_config::plan::{Plan, Program};
use eclusa_config::{Loaded, Mode};
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Orders that have had their time are looked for this often: the wall clock can be set.
pub(crate) const EXPIRE: Duration = Duration::from_secs(1);

/// What was ordered in an earlier run, and what it makes of the configuration.
pub(crate) struct Orders {
    state: State,
    amended: Amended,
    /// Lines for the log.
    notices: Vec<String>,
}

impl Orders {
    /// Reads them; `loaded` came from `config`.
    pub(crate) fn open(loaded: &Loaded, config: Option<&Path>) -> Self {
        let program = loaded.plan.program;
        let (state, notices) = match config {
            Some(_) => State::open(&admin::state_directory(), program, Moment::now()),
            None => (State::in_memory(), Vec::new()),
        };
        let name = loaded.warnings.source().name();
        let read = |text: &str| membership::read(program, name, text, Mode::Start);
        let amended = state.amend(program, loaded.clone(), read);
        Self { state, amended, notices }
    }

    /// What an engine is to run.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.amended.loaded
    }
}

/// What is served; dropped = no more.
pub(crate) struct Served {
    _sockets: [Option<Serving>; 2],
    _page: Option<dashboard::ServedPage>,
}

/// The operator's hand on an engine. Everything of it runs on one thread.
pub(crate) struct Operator {
    engine: Arc<Engine>,
    program: Program,
    /// `None`: the configuration was typed on the command line.
    config: Option<PathBuf>,
    keeper: Option<Arc<Client>>,
    state: RefCell<State>,
    /// Whether an order may be in force with an endpoint.
    ordered: Cell<bool>,
    last_reload: RefCell<Option<LastReload>>,
    /// The texts of the configuration in force, and of the one before.
    texts: RefCell<Texts>,
    drills: RefCell<Drills>,
}

impl Operator {
    /// Takes an engine that runs what was loaded, with what was ordered in an earlier run.
    pub(crate) fn new(
        engine: Arc<Engine>,
        loaded: &Loaded,
        config: Option<&Path>,
        keeper: Option<Arc<Client>>,
        orders: Orders,
    ) -> Rc<Self> {
        let text = config.map(|_| loaded.warnings.source().text().into());
        let Orders { state, amended, notices } = orders;
        for notice in notices {
            engine.warn(notice);
        }
        let operator = Self {
            engine,
            program: loaded.plan.program,
            config: config.map(Path::to_owned),
            keeper,
            state: RefCell::new(state),
            ordered: Cell::new(false),
            last_reload: RefCell::default(),
            texts: RefCell::new(Texts::new(text)),
            drills: RefCell::default(),
        };
        operator.overtake(&amended.overtaken, false);
        operator.reconcile(&amended.loaded.plan);
        Rc::new(operator)
    }

    /// Serves the admin socket, HAProxy's and the dashboard, where the plan wants them. That one cannot be
    /// served is no reason not to carry traffic: the log says so.
    pub(crate) fn serve(self: &Rc<Self>, plan: &Plan) -> Served {
        let engine = self.engine.clone();
        let desk = Rc::new(Desk::new(Rc::clone(self), move |event| engine.event(event)));
        let sockets = [self.serve_admin(plan, &desk), self.serve_haproxy(plan, &desk)];
        Served { _sockets: sockets, _page: self.serve_page(plan, &desk) }
    }

    fn serve_admin(self: &Rc<Self>, plan: &Plan, desk: &Rc<Desk<Rc<Self>>>) -> Option<Serving> {
        let wanted = plan.admin.as_ref()?;
        let opened = run_directory(plan.run_directory.as_deref())
            .map_err(|error| error.to_string())
            .and_then(|directory| {
                let opened = Socket::open(wanted, plan.program, &directory);
                opened.map_err(|error| error.to_string())
            });
        let served = opened.and_then(|(socket, warning)| {
            if let Some(warning) = warning {
                self.engine.warn(warning);
            }
            let place = format!("admin socket {}", socket.place().display());
            self.engine.tell("admin_socket", place);
            let serving = admin::serve(socket, desk.clone(), Patience::default());
            serving.map_err(|error| error.to_string())
        });
        match served {
            Ok(serving) => Some(serving),
            Err(error) => {
                self.engine.warn(format!("no admin socket: {error}"));
                None
            }
        }
    }

    /// The last messages that were refused.
    fn refused(&self) -> Reply {
        let (total, kept) = self.engine.refusals().all();
        let messages = kept.into_iter().map(RefusedMessage::from).collect();
        done(Data::Refused(Box::new(RefusedTable { total, messages })))
    }

    fn tell_warning(&self) {
        if let Some(warning) = self.state.borrow_mut().take_warning() {
            self.engine.warn(warning);
        }
    }
}

impl Operate for Rc<Operator> {
    async fn perform(&self, request: Request, by: &Peer) -> Reply {
        let reply = match request {
            Request::Reload(reload) => self.reload(&reload, &by.user()),
            Request::Confirm(_) => self.confirm(),
            Request::Rollback(wanted) => self.rollback(&wanted, &by.user()),
            Request::Status(of) => self.status(of.pool.as_deref()),
            Request::SessionList(list) => self.list(&list).await,
            Request::SessionShow(show) => self.show(&show.session).await,
            Request::SessionClose(close) => self.close(close).await,
            Request::EndpointSet(set) => self.set(set, by),
            Request::EndpointWeight(weight) => self.weigh(weight, by),
            Request::EndpointReset(reset) => self.reset(&reset),
            Request::EndpointAdd(add) => self.add(&add, by),
            Request::EndpointRemove(remove) => self.remove(&remove, by),
            Request::DrillStart(start) => self.drill(start, by),
            Request::DrillStop(_) => self.stop_drill(),
            Request::DrillShow(_) => self.show_drill(),
            Request::Plan(of) => self.plan(&of),
            Request::Explain(asked) => self.explain(&asked),
            Request::Errors(_) => self.refused(),
            Request::Events(of) => done(Data::Events(Box::new(of.of(self.engine.recent())))),
            Request::Save(_) => self.save(),
        };
        self.tell_warning();
        reply
    }

    fn recent(&self) -> Option<Arc<Recent>> {
        Some(self.engine.recent().clone())
    }
}

fn wrong(message: impl Into<String>) -> Reply {
    Reply::not_done(Outcome::Wrong, message)
}

fn done(data: Data) -> Reply {
    Reply::done(data)
}
