//! Where the next sessions of a pool would go, for `explain`: from the groups and the pickers that
//! workers choose by.

use super::pick::Picker;
use super::{Endpoint, Pool, Wanted};
use eclusa_policy::balance::{Candidate, groups};
use std::collections::HashMap;
use std::sync::Arc;

/// Picks that shares are counted over, for each endpoint, and at least so many in all.
const PICKS_EACH: usize = 8;
const PICKS_MIN: usize = 1_024;
const PICKS_MAX: usize = 16_384;
/// Endpoints that all of these picks look at together: some algorithms look at each.
const LOOKS_MAX: usize = 4_000_000;

/// An endpoint, and what the next sessions have of it.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) position: Position,
    /// The share of the next sessions that it would get, from 0 to 1, with loads as they are now.
    pub(crate) share: f64,
}

/// Where an endpoint stands for new sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// In the group that new sessions go to.
    Candidate,
    /// In that group, and all of its places are taken.
    Full,
    /// For sessions that none of a better group can take.
    Spare,
    /// It takes none.
    Out,
}

impl Pool {
    /// Where the next sessions would go, in the order of the endpoints. A worker has besides what it
    /// alone saw in the last seconds: endpoints that it has put aside, and early ends.
    pub(crate) fn preview(&self, wanted: Wanted<'_>) -> Vec<Preview> {
        let endpoints = self.endpoints();
        let slow_start = self.plan().judge.slow_start;
        let standings: Vec<_> = endpoints.iter().map(|it| it.standing(slow_start)).collect();
        let groups = groups(&standings);
        let mut picker = Picker::of(self, 0);
        let picks = (PICKS_EACH * endpoints.len()).clamp(PICKS_MIN, PICKS_MAX);
        let picks = picks.min(LOOKS_MAX / endpoints.len().max(1)).max(1);
        let mut counts: HashMap<_, u32> = HashMap::new();
        for _ in 0..picks {
            match picker.choose(wanted) {
                Ok(endpoint) => *counts.entry(endpoint.key()).or_default() += 1,
                // Nothing changes between two picks.
                Err(_) => break,
            }
        }
        let in_group = |(number, group): (usize, &Vec<_>)| {
            group.iter().map(|it: &Candidate| (it.slot, number)).collect::<Vec<_>>()
        };
        let group_of: HashMap<_, _> = groups.iter().enumerate().flat_map(in_group).collect();
        let preview = |(slot, endpoint): (u32, &Arc<Endpoint>)| {
            let count = counts.get(&endpoint.key()).copied().unwrap_or(0);
            Preview {
                endpoint: Arc::clone(endpoint),
                position: match group_of.get(&slot) {
                    None => Position::Out,
                    Some(_) if !endpoint.has_place() => Position::Full,
                    Some(0) => Position::Candidate,
                    Some(_) => Position::Spare,
                },
                share: f64::from(count) / picks as f64,
            }
        };
        (0..).zip(endpoints.iter()).map(preview).collect()
    }
}
