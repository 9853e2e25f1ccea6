//! Where a connection or a request goes, with what runs now.

use super::{Data, Operator, Reply, done, wrong};
use crate::admin::Explain;
use crate::explain::{Live, answer};

impl Operator {
    pub(super) fn explain(&self, asked: &Explain) -> Reply {
        let (pools, services) = (self.engine.status().pools, self.engine.services());
        let live = Live { pools: &pools, services: &services, now: self.engine.time() };
        match answer(&self.engine.plan(), asked, Some(live)) {
            Ok(explanation) => done(Data::Explanation(Box::new(explanation))),
            Err(lacks) => wrong(lacks),
        }
    }
}
