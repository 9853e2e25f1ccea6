//! Finding sessions, over all workers, and closing them.

use super::{Data, Operator, Outcome, Reply, done};
use crate::admin::{Closed, SessionClose, SessionFilter, SessionList, SessionTable, Sort};
use crate::engine::{SESSIONS_PATIENCE, sort_sessions};
use crate::signal::{Command, SessionQuery, SessionsFound};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::timeout;

impl Operator {
    pub(super) async fn list(&self, list: &SessionList) -> Reply {
        let limit = list.limit as usize;
        let (filter, sort) = (list.filter(), list.sort);
        let (found, silent) =
            self.ask(SessionQuery { ids: None, filter, sort, limit, close: false }).await;
        let table = SessionTable { matching: found.matching, sessions: found.sessions };
        incomplete(done(Data::Sessions(Box::new(table))), silent)
    }

    pub(super) async fn show(&self, id: &str) -> Reply {
        let ids = Some(HashSet::from([id.to_owned()]));
        let filter = SessionFilter::default();
        let (found, silent) =
            self.ask(SessionQuery { ids, filter, sort: Sort::Age, limit: 1, close: false }).await;
        match found.sessions.into_iter().next() {
            Some(session) => done(Data::Session(Box::new(session))),
            None => {
                let message = format!("there is no session {id} (any more)");
                incomplete(Reply::not_done(Outcome::Failed, message), silent)
            }
        }
    }

    pub(super) async fn close(&self, close: SessionClose) -> Reply {
        let filter = close.filter();
        let ids = Some(close.sessions.iter().cloned().collect::<HashSet<_>>());
        let ids = ids.filter(|ids| !ids.is_empty());
        let (found, silent) =
            self.ask(SessionQuery { ids, filter, sort: Sort::Age, limit: 0, close: true }).await;
        let is_there: HashSet<_> = found.ids.iter().collect();
        let not_found: Vec<_> =
            close.sessions.iter().filter(|id| !is_there.contains(id)).cloned().collect();
        let told = match found.matching {
            1 => "1 session closed".to_owned(),
            more => format!("{more} sessions closed"),
        };
        let closed = Closed { closed: found.matching, not_found };
        let nothing = closed.closed == 0 && !close.sessions.is_empty();
        let before = format!("{} sessions", closed.closed);
        let mut reply = done(Data::Closed(Box::new(closed))).line(told).changed(before, "closed");
        if nothing {
            reply.outcome = Outcome::Failed;
        }
        incomplete(reply, silent)
    }

    /// Asks every worker; says how many did not answer.
    async fn ask(&self, query: SessionQuery) -> (SessionsFound, usize) {
        let query = Arc::new(query);
        let (mut all, mut silent) = (SessionsFound::default(), 0);
        let mut answers = Vec::new();
        for seat in self.engine.seats() {
            let (tell, told) = oneshot::channel();
            match seat.command(Command::Sessions { ask: query.clone(), tell }) {
                Ok(()) => answers.push(told),
                Err(_) => silent += 1,
            }
        }
        for answer in answers {
            match timeout(SESSIONS_PATIENCE, answer).await {
                Ok(Ok(found)) => {
                    all.matching += found.matching;
                    all.sessions.extend(found.sessions);
                    all.ids.extend(found.ids);
                }
                _ => silent += 1,
            }
        }
        sort_sessions(&mut all.sessions, query.sort);
        all.sessions.truncate(query.limit);
        (all, silent)
    }
}

fn incomplete(reply: Reply, silent: usize) -> Reply {
    match silent {
        0 => reply,
        1 => reply.line("1 worker did not answer: its sessions are missing here"),
        more => {
            reply.line(format!("{more} workers did not answer: their sessions are missing here"))
        }
    }
}
