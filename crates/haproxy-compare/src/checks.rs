//! Verdicts: one endpoint of each section after the other answers its checks badly, in this way and that,
//! and both programs are asked whom they still send clients to.

use crate::causes::{Causes, Difference};
use crate::endpoint::{Endpoint, Mood};
use crate::judge::{Aspect, Raw};
use crate::layout::{Layout, Side};
use crate::scratch::Bound;
use crate::table::{Shown, states};
use eclusa_haproxy_import::outline::Outline;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long programs may take to find everybody well.
const WELL: Duration = Duration::from_secs(15);

/// How long they may take to notice what is bad: HAProxy asks after two seconds, and some times more.
const NOTICED: Duration = Duration::from_secs(6);

/// Ways to answer badly, in their turn.
const MOODS: [Mood; 6] =
    [Mood::Refuses, Mood::Says(503), Mood::Closes, Mood::Says(404), Mood::Babbles, Mood::Says(302)];

/// Places that are bad, and how.
type Bad = BTreeMap<usize, Mood>;

/// The sockets of both programs.
pub(crate) type Sockets = [PathBuf; 2];

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) compared: usize,
    pub(crate) differences: Vec<Difference>,
    /// Verdicts that could not be compared: a socket did not answer, or neither had decided.
    pub(crate) missing: usize,
    /// Rounds that were not begun, for the time was over.
    pub(crate) left_out: usize,
}

/// What rounds are played with.
pub(crate) struct Rounds<'r> {
    pub(crate) outline: &'r Outline,
    pub(crate) layout: &'r Layout,
    pub(crate) sockets: &'r Sockets,
    pub(crate) bound: &'r Bound,
    pub(crate) causes: &'r Causes<'r>,
    pub(crate) names: &'r [String],
    /// Places whose sections clients are led to, by both programs.
    pub(crate) served: &'r [usize],
}

impl Rounds<'_> {
    /// The states of all places, of both sides; `None`: a socket does not answer.
    fn states(&self) -> Option<[Vec<Option<Shown>>; 2]> {
        let [haproxy, ours] =
            Side::BOTH.map(|side| states(&self.sockets[side as usize], self.layout, side).ok());
        Some([haproxy?, ours?])
    }

    /// Waits until both have decided on all places that are served.
    fn settled(&self, within: Duration, holds: impl Fn(usize, [bool; 2]) -> bool) -> bool {
        self.bound.wait(within, || {
            let Some(now) = self.states() else { return false };
            self.served.iter().all(|place| {
                let takes = [&now[0], &now[1]].map(|all| takes(&all[*place]));
                match takes {
                    [Some(haproxy), Some(ours)] => holds(*place, [haproxy, ours]),
                    _ => false,
                }
            })
        })
    }

    /// Whether clients are sent to a place, as the file has it.
    fn serves(&self, place: usize) -> bool {
        let owners = &self.layout.places[place].owners;
        owners.iter().any(|(back, member)| self.outline.backs[*back].members[*member].serves)
    }

    /// Waits until both find well what is well; whether they do.
    pub(crate) fn all_well(&self) -> bool {
        self.settled(WELL, |place, takes| takes == [self.serves(place); 2])
    }

    /// Waits for that, and tells where they do not.
    pub(crate) fn begin(&self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        if self.all_well() {
            verdicts.compared = self.served.len();
        } else {
            self.compare(&Bad::new(), &mut verdicts);
        }
        verdicts
    }

    /// Compares the verdicts.
    fn compare(&self, bad: &Bad, verdicts: &mut Verdicts) {
        let Some(now) = self.states() else {
            verdicts.missing += self.served.len();
            return;
        };
        for place in self.served {
            let mood = bad.get(place).copied().unwrap_or(Mood::Well);
            let of = |side: Side| &now[side as usize][*place];
            let (haproxy, ours) = (of(Side::Haproxy), of(Side::Ours));
            if takes(haproxy).is_none() && takes(ours).is_none() {
                verdicts.missing += 1;
                continue;
            }
            verdicts.compared += 1;
            if takes(haproxy) == takes(ours) {
                continue;
            }
            let shown = |shown: &Option<Shown>| {
                let Some(it) = shown else { return "does not know it".to_owned() };
                let what = match it.state.takes() {
                    Some(true) => "sends clients there",
                    Some(false) => "sends nobody there",
                    None => "has not decided",
                };
                format!("{what} ({})", it.why)
            };
            let raw = Raw {
                aspect: Aspect::Verdict,
                haproxy: format!("{}: {}", self.names[*place], shown(haproxy)),
                ours: format!("{}; {}", shown(ours), words(mood)),
            };
            let back = self.layout.places[*place].owners.iter().next().map_or(0, |it| it.0);
            verdicts.differences.push(self.causes.of_endpoints(raw, back));
        }
    }

    /// Plays some rounds: in each one endpoint of every section that has others is bad.
    pub(crate) fn play(
        &self,
        rounds: usize,
        seed: usize,
        endpoints: &mut [Vec<Endpoint>; 2],
        verdicts: &mut Verdicts,
    ) -> std::io::Result<()> {
        for round in 0..rounds {
            if self.bound.is_over() {
                verdicts.left_out = rounds - round;
                break;
            }
            let mood = MOODS[(round + seed) % MOODS.len()];
            let mut bad = Bad::new();
            for back in 0..self.outline.backs.len() {
                let asks = self.outline.backs[back].good.as_ref().is_some_and(|good| good.asks);
                // What it answers is nothing to a check that asks nothing.
                let mood = if asks { mood } else { Mood::Refuses };
                bad.extend(self.victim(back, round + seed).map(|place| (place, mood)));
            }
            if bad.is_empty() {
                break;
            }
            set(endpoints, &bad)?;
            // Whoever is noticed is noticed by both, or the time is up: then what they say counts.
            if !self.settled(NOTICED, |place, takes| takes == [!bad.contains_key(&place); 2]) {
                // One of them may be slower, on a busy host.
                self.settled(WELL, |_, [haproxy, ours]| haproxy == ours);
            }
            self.compare(&bad, verdicts);
            bad.values_mut().for_each(|mood| *mood = Mood::Well);
            set(endpoints, &bad)?;
            self.all_well();
        }
        Ok(())
    }

    /// The endpoint of a section that is bad in a round; `None`: none can be, without taking the last.
    fn victim(&self, back: usize, round: usize) -> Option<usize> {
        let section = &self.outline.backs[back];
        let mut places: Vec<usize> = self
            .served
            .iter()
            .copied()
            .filter(|place| {
                let owners = &self.layout.places[*place].owners;
                let member = |(of, member): &(usize, usize)| {
                    *of == back && {
                        let member = &section.members[*member];
                        member.serves && !member.backup
                    }
                };
                owners.iter().any(member)
            })
            .collect();
        places.dedup();
        let checked = section.members.iter().any(|member| member.checked);
        (places.len() > 1 && checked && section.good.is_some())
            .then(|| places[round % places.len()])
    }
}

fn set(endpoints: &mut [Vec<Endpoint>; 2], bad: &Bad) -> std::io::Result<()> {
    for side in endpoints {
        for (place, mood) in bad {
            side[*place].set(*mood)?;
        }
    }
    Ok(())
}

/// Whether clients are sent there; `None`: that is not decided, or it is not known.
fn takes(shown: &Option<Shown>) -> Option<bool> {
    shown.as_ref().and_then(|it| it.state.takes())
}

fn words(mood: Mood) -> String {
    match mood {
        Mood::Well => "it answers well".to_owned(),
        Mood::Refuses => "it refuses connections".to_owned(),
        Mood::Says(status) => format!("it answers checks with {status}"),
        Mood::Babbles => "it answers checks with another body".to_owned(),
        Mood::Closes => "it closes connections without an answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::Program;
    use eclusa_haproxy_import::outline::outline;
    use eclusa_haproxy_import::{Elsewhere, File, Options, import};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    const TEXT: &str = "\
listen web
    bind :80
    server a 10.0.0.1:80 check
    server b 10.0.0.2:80 check
";

    /// The verdicts of programs whose sockets tell these states of `a` and `b`; `None`: one does not answer.
    fn verdicts(told: [Option<[&str; 2]>; 2]) -> Verdicts {
        let files = [File { name: "a.cfg".to_owned(), text: TEXT.to_owned() }];
        let outline = outline(&files, &Options::default());
        let mut random = fastrand::Rng::with_seed(1);
        let layout = Layout::new(&outline, Program::Edge, &mut random).unwrap();
        let report = import(Program::Edge, &files, &Options::default(), &Elsewhere).report;
        let causes = Causes::new(&outline, &report);
        let scratch = crate::scratch::Scratch::new().unwrap();
        let sockets = ["haproxy.sock", "ours.sock"].map(|name| scratch.path(name));
        for (side, states) in told.into_iter().enumerate() {
            let Some(states) = states else { continue };
            let mut text = "# pxname,svname,status,addr,\n".to_owned();
            for (place, state) in layout.places.iter().zip(states) {
                text.push_str(&format!("web,x,{state},{},\n", place.bed[side]));
            }
            let listener = UnixListener::bind(&sockets[side]).unwrap();
            // It ends with the test.
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut asked = [0; 64];
                    let _ = stream.read(&mut asked);
                    let _ = stream.write_all(text.as_bytes());
                }
            });
        }
        let bound = Bound::new(Duration::from_millis(200)).unwrap();
        let names = ["a".to_owned(), "b".to_owned()];
        let rounds = Rounds {
            outline: &outline,
            layout: &layout,
            sockets: &sockets,
            bound: &bound,
            causes: &causes,
            names: &names,
            served: &[0, 1],
        };
        rounds.begin()
    }

    #[test]
    fn what_nobody_tells_is_not_compared() {
        let shown = |it: Verdicts| (it.compared, it.differences.len(), it.missing);
        let up = Some(["UP", "UP"]);
        assert_eq!(shown(verdicts([up, up])), (2, 0, 0));
        assert_eq!(shown(verdicts([up, Some(["UP", "DOWN"])])), (2, 1, 0));
        assert_eq!(shown(verdicts([up, None])), (0, 0, 2), "a socket does not answer");
        let slow = Some(["UP", "UP 1/3"]);
        assert_eq!(shown(verdicts([slow, slow])), (1, 0, 1), "nobody has decided on one");
        assert_eq!(shown(verdicts([up, slow])), (2, 1, 0));
    }
}
