//! What endpoint and candidate are to be ready for.

use crate::case::{Case, Variant};
use crate::setup::Setup;
use crate::work::{Form, Http, Of, Work};

/// What a scene is set for.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What the generator will do.
    pub work: Work,
    /// The messages of the HTTP work.
    pub http: Option<Http>,
    /// What the candidate has beside it.
    pub form: Form,
    /// Bytes that a session of the idle work exchanges.
    pub bytes: usize,
    /// Sessions that the candidate has to allow for.
    pub sessions: usize,
    /// Its threads, or processes, that carry traffic; it gets as many cores.
    pub workers: usize,
    /// Addresses that its traffic goes to.
    pub endpoints: usize,
    /// Routes, the one that is taken included.
    pub routes: usize,
    /// Whether it will be reloaded.
    pub reloads: bool,
    /// Whether its instructions are counted, which cannot be done to what is confined.
    pub counted: bool,
}

impl Stage {
    /// One worker, one endpoint, one route, 1000 sessions.
    #[must_use]
    pub fn small(work: Work) -> Self {
        Self {
            work,
            http: None,
            form: Form::Bare,
            bytes: 0,
            sessions: 1000,
            workers: 1,
            endpoints: 1,
            routes: 1,
            reloads: false,
            counted: false,
        }
    }

    /// What a case asks of one of its setups.
    #[must_use]
    pub fn of(case: &Case, variant: &Variant, setup: &Setup, sessions: usize) -> Self {
        Self {
            http: case.http,
            form: variant.form,
            sessions,
            workers: setup.count(case, Of::Workers).unwrap_or(1),
            endpoints: setup.count(case, Of::Endpoints).unwrap_or(1),
            routes: setup.count(case, Of::Routes).unwrap_or(variant.form.routes()),
            reloads: case.reload_every.is_some(),
            ..Self::small(case.work)
        }
    }
}
