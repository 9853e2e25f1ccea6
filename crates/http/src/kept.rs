//! What is counted from one plan to the next: limits of client networks, and what rules count.

use crate::counters::Counters;
use crate::limit::Limiter;
use eclusa_config::plan::Plan;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// What a plan counts by.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The limits of each listener, by its name.
    limiters: HashMap<Arc<str>, Arc<Limiter>>,
    pub(crate) counters: Counters,
}

impl Kept {
    /// By this plan; what one before it has counted goes on to count.
    pub(crate) fn new(plan: &Plan, previous: Option<&Self>) -> Arc<Self> {
        let limiter = |listener: &eclusa_config::plan::Listener| {
            let (name, http) = (&listener.name, listener.http.as_ref()?);
            let known = previous.and_then(|it| it.limiters.get(name)).map(|known| &**known);
            Some((Arc::clone(name), Arc::new(Limiter::new(name, &http.limit, known))))
        };
        let limiters = plan.listeners.iter().filter_map(limiter).collect();
        let counters = Counters::new(&plan.counters, previous.map(|it| &it.counters));
        Arc::new(Self { limiters, counters })
    }

    /// The limits of a listener, if it has HTTP.
    pub(crate) fn limiter(&self, listener: &str) -> Option<Arc<Limiter>> {
        self.limiters.get(listener).cloned()
    }
}

/// All that was made and may be in force. A plan that is refused after it was prepared is dropped, and what it
/// would have counted by with it: the newest that somebody holds is that of the plan in force.
#[derive(Debug)]
pub(crate) struct Past<T = Kept>(Vec<Weak<T>>);

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Past<T> {
    pub(crate) fn newest(&self) -> Option<Arc<T>> {
        self.0.iter().rev().find_map(Weak::upgrade)
    }

    pub(crate) fn add(&mut self, made: &Arc<T>) {
        self.0.retain(|known| known.strong_count() > 0);
        self.0.push(Arc::downgrade(made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_and_refused_leaves_what_is_in_force() {
        let mut past = Past::default();
        assert_eq!(past.newest(), None);
        let in_force = Arc::new(1);
        past.add(&in_force);
        let refused = Arc::new(2);
        past.add(&refused);
        drop(refused);
        assert_eq!(past.newest().as_deref(), Some(&1));
        // Connections of the one before may last for days.
        let next = Arc::new(3);
        past.add(&next);
        assert_eq!((past.newest().as_deref(), past.0.len()), (Some(&3), 2));
        drop((next, in_force));
        assert_eq!(past.newest(), None);
    }
}
