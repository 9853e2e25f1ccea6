//! What workers count of TLS and HTTP, beside what they count of sessions: a block inside the
//! listener's or the pool's, there from the first thing on that is counted in it. Where TCP is carried
//! there is none.

use super::Metrics;
use super::cells::{Ends, ListenerCell, ListenerCells, PoolCell, PoolCells};
use super::histogram::{ANSWERS, Counter, Histogram};
use crate::observe::Exchange;
use eclusa_wire::http1::Reason;
use eclusa_wire::http2::Flood;
use std::array;
use std::sync::LazyLock;

/// Classes of statuses, as the metric names them; the first: no answer was sent.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counters by the codec's reasons.
#[derive(Debug)]
pub(crate) struct ByReason([Counter; Reason::ALL.len()]);

impl Default for ByReason {
    fn default() -> Self {
        Self(array::from_fn(|_| Counter::new()))
    }
}

impl ByReason {
    fn count(&self, reason: Reason) {
        let place = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.add(1);
        }
    }

    /// The counters, in the order of [`Reason::ALL`].
    pub(super) fn counters(&self) -> &[Counter; Reason::ALL.len()] {
        &self.0
    }
}

/// Stand for blocks that are not there.
static NO_LISTENER: LazyLock<ListenerHttp> = LazyLock::new(ListenerHttp::default);
static NO_POOL: LazyLock<PoolHttp> = LazyLock::new(PoolHttp::default);

/// Writes a type of few values, each with the word that metrics have for it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $(#[$of:meta] $variant:ident $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[$of] $variant,)*
        }

        impl $name {
            /// The words for them, in their order.
            pub(crate) const WORDS: [&'static str; [$($word),*].len()] = [$($word),*];
        }
    };
}

words! {
    /// What came of a handshake with a client.
    Handshake {
        /// A new session.
        Full "full",
        /// An earlier one was resumed.
        Resumed "resumed",
        /// It was not complete at its deadline.
        Deadline "deadline",
        /// The client was gone.
        Closed "closed",
        /// The client does not speak TLS.
        NotTls "not_tls",
        /// The client speaks it wrongly.
        Malformed "malformed",
        /// Nothing in common.
        Incompatible "incompatible",
        /// There is no certificate for the name.
        UnknownName "unknown_name",
        /// The client's certificate is missing, or does not convince.
        Certificate "certificate",
        /// The client has ended it with an alert.
        Alert "alert",
        /// Too many others waited for their turn.
        Busy "busy",
        /// Something else.
        Other "other",
    }
}

words! {
    /// What came of a name and a password.
    Login {
        /// They are right.
        Right "right",
        /// They are not.
        Wrong "wrong",
        /// Too many others wait to be looked at.
        Unheard "unheard",
    }
}

words! {
    /// What a client network has too many of.
    Limited {
        /// Connections at once.
        Connections "connections",
        /// Requests.
        Requests "requests",
        /// Connections that were cut for floods, not long ago.
        Floods "floods",
    }
}

words! {
    /// What became of an answer that is to be compressed.
    Compressed {
        /// It was.
        Done "compressed",
        /// It passed as it is: too many others were being compressed.
        Passed "passed",
    }
}

/// What becomes of what is over a limit, as the metric names it.
pub(super) const CONSEQUENCES: [&str; 2] = ["reported", "refused"];

/// What one worker counts of the exchanges of a listener.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct ListenerHttp {
    /// By [`CLASSES`].
    pub(super) statuses: [Counter; CLASSES.len()],
    pub(super) refused: ByReason,
    /// By [`Handshake`].
    pub(super) handshakes: [Counter; Handshake::WORDS.len()],
    /// By [`Login`].
    pub(super) logins: [Counter; Login::WORDS.len()],
    /// By [`Limited`], then by [`CONSEQUENCES`].
    pub(super) limited: [[Counter; CONSEQUENCES.len()]; Limited::WORDS.len()],
    pub(super) forgotten: Counter,
    /// By [`Compressed`].
    pub(super) compressed: [Counter; Compressed::WORDS.len()],
    /// By [`Flood`].
    pub(super) floods: [Counter; Flood::ALL.len()],
}

/// What one worker counts of the exchanges that routes gave to a pool.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct PoolHttp {
    pub(super) ends: Ends,
    pub(super) refused: ByReason,
    pub(super) answer: Histogram,
    pub(super) reused: Counter,
}

impl ListenerCell {
    fn http(&self) -> &ListenerHttp {
        self.http.get_or_init(Box::default)
    }

    /// What was counted so far.
    pub(super) fn http_so_far(&self) -> &ListenerHttp {
        self.http.get().map_or(&*NO_LISTENER, |http| http)
    }
}

impl ListenerCells {
    /// Counts in the worker's own block.
    pub(crate) fn count_http(&self, worker: usize, count: impl FnOnce(&ListenerHttp)) {
        if let Some(cell) = self.of(worker) {
            count(cell.http());
        }
    }

    /// Whether anything of HTTP was counted.
    pub(super) fn has_http(&self) -> bool {
        self.iter().any(|cell| cell.http.get().is_some())
    }

    /// An exchange is over.
    pub(crate) fn exchanged(&self, worker: usize, exchange: &Exchange) {
        let Some(cell) = self.of(worker) else { return };
        let class = usize::from(exchange.status / 100).min(CLASSES.len() - 1);
        cell.http().statuses[class].add(1);
        cell.bytes[0].add(exchange.bytes.0);
        cell.bytes[1].add(exchange.bytes.1);
    }
}

impl ListenerHttp {
    /// A request was refused by the codec.
    pub(crate) fn refused(&self, reason: Reason) {
        self.refused.count(reason);
    }

    /// A handshake is over.
    pub(crate) fn shaken(&self, outcome: Handshake) {
        self.handshakes[outcome as usize].add(1);
    }

    /// A name and a password were looked at, or not.
    pub(crate) fn login(&self, outcome: Login) {
        self.logins[outcome as usize].add(1);
    }

    /// Something was over a limit.
    pub(crate) fn limited(&self, what: Limited, refused: bool) {
        self.limited[what as usize][usize::from(refused)].add(1);
    }

    /// An answer was compressed, or not.
    pub(crate) fn compressed(&self, outcome: Compressed) {
        self.compressed[outcome as usize].add(1);
    }

    /// A connection was cut.
    pub(crate) fn flooded(&self, flood: Flood) {
        self.floods[flood as usize].add(1);
    }

    /// A client network lost its place in the table of requests.
    pub(crate) fn forgot(&self) {
        self.forgotten.add(1);
    }
}

impl PoolCell {
    fn http(&self) -> &PoolHttp {
        self.http.get_or_init(Box::default)
    }

    /// What was counted so far.
    pub(super) fn http_so_far(&self) -> &PoolHttp {
        self.http.get().map_or(&*NO_POOL, |http| http)
    }
}

impl PoolCells {
    /// Whether anything of HTTP was counted.
    pub(super) fn has_http(&self) -> bool {
        self.workers.iter().any(|cell| cell.http.get().is_some())
    }

    /// An exchange is over that a route gave to the pool.
    pub(crate) fn exchanged(&self, worker: usize, exchange: &Exchange) {
        let Some(cell) = self.workers.of(worker) else { return };
        let http = cell.http();
        http.ends.count(&exchange.end);
        http.reused.add(exchange.reused.into());
        if let Some(answer) = exchange.times.answer {
            http.answer.record(&ANSWERS, answer);
        }
        cell.bytes[0].add(exchange.bytes.0);
        cell.bytes[1].add(exchange.bytes.1);
    }

    /// An answer was refused by the codec.
    pub(crate) fn refused(&self, worker: usize, reason: Reason) {
        if let Some(cell) = self.workers.of(worker) {
            cell.http().refused.count(reason);
        }
    }
}

impl Metrics {
    /// The worker keeps so many idle connections to endpoints.
    pub(crate) fn set_idle_connections(&self, index: usize, count: usize) {
        if let Some(cell) = self.workers.get(index) {
            cell.idle_connections.set(count as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_there_from_the_first_use_on_and_counts_by_reason() {
        let cells = ListenerCells::new(2);
        cells.accepted(1);
        assert!(!cells.has_http());
        for reason in [Reason::BareLf, Reason::BareLf, Reason::TrailersTooLarge] {
            cells.count_http(1, |http| http.refused(reason));
        }
        cells.count_http(7, |http| http.refused(Reason::BareLf));
        let of = |reason: Reason| {
            let place = Reason::ALL.iter().position(|known| *known == reason).unwrap();
            cells.sum(|cell| &cell.http_so_far().refused.counters()[place])
        };
        assert_eq!((of(Reason::BareLf), of(Reason::TrailersTooLarge), of(Reason::Nul)), (2, 1, 0));
        assert_eq!(align_of::<ListenerHttp>(), 128);
        assert_eq!(align_of::<PoolHttp>(), 128);
    }
}
