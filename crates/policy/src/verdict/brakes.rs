//! The brakes: whether it is believed that an endpoint fell, and whether sessions are reset.
//!
//! Three of them look at the whole pool. *Correlation*: when half or more of it falls within 3 s,
//! or nobody would be left, the falls are suspected to be this host's or its network's; they are
//! marked and held. *Witness*: silence is only believed if some other endpoint was heard during
//! each of the silent dials; a host that hears nobody says nothing of anybody, and two SYNs lost to
//! one and the same gap of the network have no byte of anybody between them. *Hold*: an endpoint that is held
//! goes back to `suspect` as soon as the others no longer fall, and its evidence starts anew.

use super::member::{Fall, Hold, Member, Reset, State};
use super::{Reason, Settings, Verdict};
use crate::time::Time;

/// The endpoint at `index` finds that it should fall for `reason`.
pub(super) fn fall(
    members: &mut [Member],
    index: usize,
    reason: Reason,
    alive: bool,
    now: Time,
    settings: &Settings,
) {
    let member = &mut members[index];
    let is_new = match member.state {
        State::Fallen(fall) => fall_again(member, fall, reason, alive, now),
        State::Unprobed | State::Up | State::Suspect(_) => {
            let stood = std::mem::take(&mut member.stood);
            member.state = State::Fallen(Fall { reason, at: now, stood, hold: None });
            true
        }
    };
    if is_new {
        correlate(members, index, now, settings);
    }
    arm_reset(members, index, now, settings);
}

/// Another finding on an endpoint that has fallen; says whether that is news.
fn fall_again(member: &mut Member, fall: Fall, reason: Reason, alive: bool, now: Time) -> bool {
    if fall.reason.is_deadly() && !reason.is_deadly() && !alive {
        return false;
    }
    if reason == Reason::Slow && !fall.reason.is_deadly() && member.has_bad_status() {
        return false;
    }
    let same = fall.reason.word() == reason.word();
    let at = if same { fall.at } else { now };
    let floor = if fall.reason.is_deadly() { Verdict::Suspect } else { Verdict::Draining };
    let raise = |hold: Hold| Hold { floor: worse(hold.floor, floor), ..hold };
    member.state = State::Fallen(Fall { reason, at, hold: fall.hold.map(raise), ..fall });
    if !same && matches!(member.reset, Reset::From(_)) {
        member.reset = Reset::None;
    }
    !same
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    if a.badness() >= b.badness() { a } else { b }
}

/// So many falls are no coincidence.
fn suspicious(members: &[Member]) -> usize {
    members.iter().filter(|member| member.counts()).count().div_ceil(2).max(2)
}

/// Whether an endpoint is left that has not fallen.
fn anybody_left(members: &[Member]) -> bool {
    let stands = |member: &Member| !matches!(member.state, State::Fallen(_));
    members.iter().any(|member| member.counts() && stands(member))
}

/// Whether another endpoint than the one at `index` was heard since `since`.
fn has_witness(members: &[Member], index: usize, since: Time) -> bool {
    let others = members.iter().enumerate().filter(|(other, _)| *other != index);
    others.into_iter().any(|(_, member)| member.silence.heard_since(since))
}

/// A dial of the endpoint at `index` was missed: was anybody else heard since `since`?
pub(super) fn witness(members: &mut [Member], index: usize, since: Time) {
    let heard_another = has_witness(members, index, since);
    members[index].silence.witness(heard_another);
}

/// Whether its silence is believed.
fn is_witnessed(member: &Member, settings: &Settings) -> bool {
    member.silence.witnessed() >= settings.confirm
}

fn correlate(members: &mut [Member], index: usize, now: Time, settings: &Settings) {
    let State::Fallen(fallen) = members[index].state else { return };
    let recent = |member: &Member| match member.state {
        State::Fallen(fall) => {
            member.counts() && fall.stood && now.since(fall.at) <= settings.correlation_window
        }
        _ => false,
    };
    let sick = |member: &Member| match member.state {
        State::Fallen(fall) => member.counts() && matches!(fall.reason, Reason::Sick(_)),
        _ => false,
    };
    let threshold = suspicious(members);
    if members.iter().filter(|member| recent(member)).count() >= threshold {
        members.iter_mut().filter(|member| recent(member)).for_each(|member| hold(member, now));
    }
    if members.iter().filter(|member| sick(member)).count() >= threshold {
        members.iter_mut().filter(|member| sick(member)).for_each(|member| hold(member, now));
    }
    let believed = fallen.reason != Reason::Silent || is_witnessed(&members[index], settings);
    if fallen.stood && (!believed || !anybody_left(members)) {
        hold(&mut members[index], now);
    }
}

fn hold(member: &mut Member, now: Time) {
    let State::Fallen(fall) = &mut member.state else { return };
    if fall.hold.is_some() {
        return;
    }
    // Shown as draining already: that is what it goes back to.
    let shown = member.published.verdict;
    let draining = shown == Verdict::Draining;
    let before = Some(member.published.reason).filter(|r| draining && !r.is_deadly());
    let floor =
        if draining || !fall.reason.is_deadly() { Verdict::Draining } else { Verdict::Suspect };
    fall.hold = Some(Hold { since: now, before, floor: worse(floor, shown), expired: false });
    if matches!(member.reset, Reset::From(_)) {
        member.reset = Reset::None;
    }
}

/// Plans the resets that follow from a fall, if no brake forbids them.
fn arm_reset(members: &mut [Member], index: usize, now: Time, settings: &Settings) {
    let State::Fallen(Fall { reason, at, hold: None, .. }) = members[index].state else { return };
    let from = match reason {
        Reason::Silent if is_witnessed(&members[index], settings) => {
            settings.reset_silent_after.map(|after| now + after)
        }
        Reason::Sick(_) => settings.reset_sick_after.map(|after| at + after),
        _ => None,
    };
    let member = &mut members[index];
    if let (Some(from), Reset::None) = (from, member.reset) {
        member.reset = Reset::From(from);
    }
}

/// Lets go of the endpoints whose hold has lost its ground, and lets holds expire.
pub(super) fn release(members: &mut [Member], now: Time, settings: &Settings) {
    let held = |member: &Member| matches!(member.state, State::Fallen(Fall { hold: Some(_), .. }));
    if !members.iter().any(held) {
        return;
    }
    let together = members.iter().filter(|member| held(member)).count() >= suspicious(members);
    let alone = together || !anybody_left(members);
    for index in 0..members.len() {
        let State::Fallen(fall) = members[index].state else { continue };
        let Some(mut hold) = fall.hold else { continue };
        let grounded =
            alone || fall.reason == Reason::Silent && !has_witness(members, index, hold.since);
        let member = &mut members[index];
        if !grounded {
            let_go(member, fall, hold, now);
        } else if fall.reason.is_deadly() && now.since(hold.since) >= settings.hold {
            hold.expired = true;
            member.state = State::Fallen(Fall { hold: Some(hold), ..fall });
        }
    }
}

/// The others are back: what spoke against it meanwhile may have had the same cause.
fn let_go(member: &mut Member, fall: Fall, hold: Hold, now: Time) {
    member.state = match hold.before {
        _ if hold.expired => State::Fallen(Fall { hold: None, stood: false, ..fall }),
        Some(reason) => State::Fallen(Fall { reason, at: now, stood: false, hold: None }),
        None => {
            member.stood = fall.stood;
            State::Suspect(Reason::Recheck)
        }
    };
    member.recheck(now);
}

/// A byte came from an endpoint that was found silent.
pub(super) fn revive(member: &mut Member, now: Time) {
    let State::Fallen(fall) = member.state else { return };
    if fall.reason != Reason::Silent {
        return;
    }
    match fall.hold {
        Some(hold) if !hold.expired => let_go(member, fall, hold, now),
        _ => {
            let fall = Fall { reason: Reason::Slow, at: now, stood: false, hold: None };
            member.state = State::Fallen(fall);
            member.recheck(now);
        }
    }
}

/// Whether the resets planned for the endpoint at `index` may begin.
pub(super) fn may_reset(members: &[Member], index: usize) -> bool {
    match members[index].state {
        State::Fallen(Fall { reason: Reason::Silent, hold: None, .. }) => true,
        State::Fallen(Fall { reason: Reason::Sick(_), hold: None, .. }) => {
            // Most of the pool must be well.
            let well = |member: &&Member| member.counts() && member.state == State::Up;
            members.iter().filter(well).count() * 2 >= members.iter().filter(|m| m.counts()).count()
        }
        _ => false,
    }
}

/// Whether the reason for resets is gone.
pub(super) fn must_stop(member: &Member) -> bool {
    !matches!(
        member.state,
        State::Fallen(Fall { reason: Reason::Silent | Reason::Sick(_), hold: None, .. })
    )
}
