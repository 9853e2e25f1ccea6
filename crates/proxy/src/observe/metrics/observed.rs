//! Figures of `observe`; there are none where traffic is carried.

use super::Metrics;
use metrics::{counter, gauge, with_local_recorder};

impl Metrics {
    /// Pools of these names are observed.
    pub(crate) fn observing_begins<'a>(&self, pools: impl Iterator<Item = &'a str>) {
        with_local_recorder(&self.control, || {
            for pool in pools {
                for order in ["drain", "refuse", "reset", "turn_away"] {
                    counter!("eclusa_observe_would_have_total", "pool" => pool.to_owned(), "order" => order)
                        .absolute(0);
                }
                for out_by in ["we", "haproxy"] {
                    counter!("eclusa_observe_disagreements_total", "pool" => pool.to_owned(), "out_by" => out_by)
                        .absolute(0);
                }
                for who in ["we", "haproxy", "together"] {
                    counter!("eclusa_observe_noticed_total", "pool" => pool.to_owned(), "first" => who)
                        .absolute(0);
                }
            }
            for outcome in ["done", "failed"] {
                counter!("eclusa_observe_haproxy_reads_total", "outcome" => outcome).absolute(0);
            }
        });
    }

    /// An order was given that nobody carries out.
    pub(crate) fn would_have(&self, pool: &str, order: &'static str) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_observe_would_have_total", "pool" => pool.to_owned(), "order" => order)
                .increment(1);
        });
    }

    /// Of so many endpoints of a pool HAProxy says something, too, and of so many something else.
    pub(crate) fn compared(&self, pool: &str, compared: u32, differing: u32) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_observe_compared", "pool" => pool.to_owned()).set(f64::from(compared));
            gauge!("eclusa_observe_differing", "pool" => pool.to_owned()).set(f64::from(differing));
        });
    }

    /// A disagreement began: who says that the endpoint is out.
    pub(crate) fn disagreement(&self, pool: &str, out_by: &'static str) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_observe_disagreements_total", "pool" => pool.to_owned(), "out_by" => out_by)
                .increment(1);
        });
    }

    /// Both have noticed a death: who was first.
    pub(crate) fn noticed(&self, pool: &str, first: &'static str) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_observe_noticed_total", "pool" => pool.to_owned(), "first" => first)
                .increment(1);
        });
    }

    /// HAProxy was read, or could not be.
    pub(crate) fn haproxy_read(&self, done: bool) {
        with_local_recorder(&self.control, || {
            let outcome = if done { "done" } else { "failed" };
            counter!("eclusa_observe_haproxy_reads_total", "outcome" => outcome).increment(1);
        });
    }
}
