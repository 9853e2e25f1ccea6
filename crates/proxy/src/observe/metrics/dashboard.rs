//! Figures of the dashboard; there are none while it is served nowhere.

use super::Metrics;
use metrics::{counter, gauge, with_local_recorder};

/// Why the dashboard refuses somebody, as the label says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    /// It was asked for by a name that is not its own.
    Host,
    /// Another site's page asked.
    CrossSite,
    /// An order without the right token.
    Token,
    /// As many pages as may be are kept up to date.
    Viewers,
    /// It did not read what it had asked for.
    Slow,
}

impl Unwelcome {
    const ALL: [Self; 5] = [Self::Host, Self::CrossSite, Self::Token, Self::Viewers, Self::Slow];

    fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::CrossSite => "cross_site",
            Self::Token => "token",
            Self::Viewers => "viewers",
            Self::Slow => "slow",
        }
    }
}

impl Metrics {
    /// The dashboard is served, to so many pages and connections at most.
    pub(crate) fn dashboard_begins(&self, viewers_max: usize, connections_max: usize) {
        with_local_recorder(&self.control, || {
            for (what, max) in [("viewers", viewers_max), ("connections", connections_max)] {
                gauge!("eclusa_dashboard_open", "what" => what).set(0.0);
                gauge!("eclusa_dashboard_open_max", "what" => what)
                    .set(f64::from(u32::try_from(max).unwrap_or(u32::MAX)));
            }
            for why in Unwelcome::ALL {
                counter!("eclusa_dashboard_refused_total", "reason" => why.word()).absolute(0);
            }
        });
    }

    /// So many pages are kept up to date.
    pub(crate) fn dashboard_viewers(&self, count: usize) {
        self.dashboard_open("viewers", count);
    }

    /// So many connections are open.
    pub(crate) fn dashboard_connections(&self, count: usize) {
        self.dashboard_open("connections", count);
    }

    fn dashboard_open(&self, what: &'static str, count: usize) {
        with_local_recorder(&self.control, || {
            gauge!("eclusa_dashboard_open", "what" => what)
                .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        });
    }

    /// Somebody was refused.
    pub(crate) fn dashboard_refused(&self, why: Unwelcome) {
        with_local_recorder(&self.control, || {
            counter!("eclusa_dashboard_refused_total", "reason" => why.word()).increment(1);
        });
    }

    /// How often somebody was refused for this.
    #[cfg(test)]
    pub(crate) fn dashboard_count(&self, why: Unwelcome) -> f64 {
        let samples = self.control.samples(&super::table::DASHBOARD_REFUSED);
        samples.iter().find(|(labels, _)| labels == &[why.word()]).map_or(0.0, |(_, count)| *count)
    }
}
