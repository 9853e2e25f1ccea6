//! A worker's crowd: those that have more to do than a turn can hold, and streams of HTTP/2, of which a
//! client can have thousands, where they have something costly to do. Together they get a share of each round
//! of the reactor, so that whoever is not of the crowd waits for no more than that; networks take turns in
//! it.

use eclusa_policy::limits::ClientNetwork;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::task::{spawn_local, yield_now};

/// What the crowd has of a round. An exchange takes a handful of rounds.
const SHARE: Duration = Duration::from_micros(500);
/// So many are called at once when a round begins; the others as those have had their turns.
const CALLED: usize = 4;

thread_local! {
    static CROWD: Crowd = Crowd::default();
}

type Whose = Option<ClientNetwork>;

/// Those of one thread.
#[derive(Default)]
struct Crowd {
    /// When this round's share began; `None`: none of the crowd had a turn in it.
    began: Cell<Option<Instant>>,
    /// Those that were called in this round and have not come: they find room.
    called: Cell<usize>,
    /// Somebody sees to it that rounds begin.
    is_coming_round: Cell<bool>,
    /// The first of the next network is the next.
    waiting: RefCell<VecDeque<(Whose, VecDeque<Waker>)>>,
    /// The same, by where the waker leads: one that is woken by something else meanwhile, and does not find
    /// room, keeps its place and gets no second one.
    known: RefCell<HashSet<*const ()>>,
    /// How often one had to wait.
    waits: Cell<u64>,
}

/// How many of this thread's crowd wait for a turn, and how often one had to.
pub(crate) fn waiting() -> (usize, u64) {
    CROWD.with(|crowd| (crowd.known.borrow().len(), crowd.waits.get()))
}

/// Whether one of the crowd may have a turn.
pub(super) fn has_room(now: Instant) -> bool {
    CROWD.with(|crowd| {
        if let Some(called) = crowd.called.get().checked_sub(1) {
            crowd.called.set(called);
            return true;
        }
        if !crowd.waiting.borrow().is_empty() {
            return false;
        }
        if crowd.began.get().is_none() {
            crowd.began.set(Some(now));
        }
        crowd.is_within(now)
    })
}

/// The reactor comes round, and nobody is ready.
pub(crate) fn all_had_their_turn() {
    let _ = CROWD.try_with(|crowd| crowd.began.set(None));
}

/// Has `waker` woken when it is its turn.
pub(super) fn wait(whose: Whose, waker: &Waker) {
    CROWD.with(|crowd| {
        crowd.join(whose, waker.clone());
        crowd.come_round();
    });
}

/// After a turn: the next one may come, if the share is not used up.
pub(super) fn go_on() {
    // While the thread ends nobody waits.
    let _ = CROWD.try_with(|crowd| {
        if crowd.waiting.borrow().is_empty() {
            return;
        }
        if crowd.is_within(Instant::now()) {
            crowd.call();
        }
    });
}

impl Crowd {
    fn is_within(&self, now: Instant) -> bool {
        self.began.get().is_some_and(|began| now.saturating_duration_since(began) < SHARE)
    }

    fn join(&self, whose: Whose, waker: Waker) {
        if !self.known.borrow_mut().insert(waker.data()) {
            return;
        }
        self.waits.set(self.waits.get() + 1);
        let mut waiting = self.waiting.borrow_mut();
        match waiting.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, line)) => line.push_back(waker),
            None => waiting.push_back((whose, VecDeque::from([waker]))),
        }
    }

    /// Calls the next one; the one after it is of another network, if there is one.
    fn call(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let Some((whose, mut line)) = waiting.pop_front() else { return };
        let next = line.pop_front();
        if !line.is_empty() {
            waiting.push_back((whose, line));
        }
        drop(waiting);
        if let Some(next) = next {
            self.known.borrow_mut().remove(&next.data());
            self.called.set(self.called.get() + 1);
            next.wake();
        }
    }

    /// Sees to it that rounds begin for as long as anybody waits.
    fn come_round(&self) {
        if !self.is_coming_round.replace(true) {
            spawn_local(async {
                while CROWD.with(|crowd| !crowd.waiting.borrow().is_empty()) {
                    // Until the reactor has come round.
                    yield_now().await;
                    CROWD.with(Crowd::begin);
                }
                CROWD.with(|crowd| crowd.is_coming_round.set(false));
            });
        }
    }

    /// Begins a round.
    fn begin(&self) {
        self.began.set(Some(Instant::now()));
        self.called.set(0);
        for _ in 0..CALLED {
            self.call();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::turn::{give_way, is_long, poll_room, turn};
    use eclusa_policy::limits::ClientNetwork;
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::net::IpAddr;
    use std::rc::Rc;
    use std::task::{Context, Poll, ready};
    use std::time::Instant;
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    fn network(number: u8) -> ClientNetwork {
        IpAddr::from([192, 0, 2, number]).into()
    }

    /// Takes as long as a tenth of a share.
    fn work() {
        let began = Instant::now();
        while began.elapsed() < super::SHARE / 10 {}
    }

    /// Does `what` once there is room.
    fn crowded<T>(
        network: ClientNetwork,
        context: &mut Context<'_>,
        what: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        turn(network, || {
            ready!(poll_room(context));
            what(context)
        })
    }

    /// Runs `crowd` beside somebody who is always ready, and counts the turns of that one.
    fn beside_another(crowd: impl AsyncFnOnce(Rc<Cell<u32>>)) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let turns = Rc::new(Cell::new(0_u32));
            let counted = Rc::clone(&turns);
            let other = spawn_local(async move {
                loop {
                    counted.set(counted.get() + 1);
                    yield_now().await;
                }
            });
            crowd(turns).await;
            other.abort();
        });
    }

    #[test]
    fn a_crowd_leaves_room_for_others_and_networks_take_turns_in_it() {
        beside_another(async |turns| {
            let order = Rc::new(RefCell::new(Vec::new()));
            let begin = |number: u8| {
                let (order, turns) = (Rc::clone(&order), Rc::clone(&turns));
                let one = poll_fn(move |context| {
                    crowded(network(number), context, |_| {
                        work();
                        order.borrow_mut().push((number, turns.get()));
                        Poll::Ready(())
                    })
                });
                spawn_local(one)
            };
            let all: Vec<_> = [1; 100].into_iter().chain([2; 4]).map(begin).collect();
            for one in all {
                one.await.unwrap();
            }
            let order = order.borrow();
            assert_eq!(order.len(), 104);
            let last_of_few = order.iter().rposition(|(network, _)| *network == 2).unwrap();
            assert!(last_of_few < 24, "{order:?}");
            let (first, last) = (order[0].1, order[103].1);
            assert!(last - first >= 8, "104 tenths of a share are ten rounds: {order:?}");
            let (waiting, waits) = super::waiting();
            assert!(waiting == 0 && waits >= 80, "{waiting} wait, {waits} had to");
        });
    }

    #[test]
    fn who_is_busy_goes_on_and_holds_up_nobody() {
        beside_another(async |turns| {
            let busy = |number: u8| {
                let mut left = 50;
                spawn_local(poll_fn(move |context| {
                    crowded(network(number), context, |context| {
                        while left > 0 && !is_long() {
                            work();
                            left -= 1;
                        }
                        if left == 0 {
                            return Poll::Ready(());
                        }
                        give_way(context);
                        Poll::Pending
                    })
                }))
            };
            for one in [1, 1, 2, 3].map(busy) {
                one.await.unwrap();
            }
            assert!(turns.get() >= 12, "200 tenths of a share: {}", turns.get());
        });
    }

    #[test]
    fn who_asks_again_has_one_place() {
        beside_another(async |_| {
            let one = poll_fn(|context| {
                for _ in 0..100 {
                    turn(network(1), || give_way(context));
                }
                let lines = super::CROWD.with(|crowd| crowd.waiting.borrow().len());
                let places = super::CROWD.with(|crowd| crowd.waiting.borrow()[0].1.len());
                assert_eq!((lines, places), (1, 1));
                Poll::Ready(())
            });
            spawn_local(one).await.unwrap();
        });
    }

    #[test]
    fn those_who_are_gone_hold_nobody_up() {
        beside_another(async |_| {
            let one = |_: u32| {
                spawn_local(poll_fn(move |context| {
                    crowded(network(1), context, |_| {
                        work();
                        Poll::Ready(())
                    })
                }))
            };
            let all: Vec<_> = (0..60).map(one).collect();
            yield_now().await;
            for gone in all.iter().take(59) {
                gone.abort();
            }
            all.into_iter().last().unwrap().await.unwrap();
        });
    }
}
