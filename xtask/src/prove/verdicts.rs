//! The topic `verdicts`: what follows from faults, and what must not.

use super::checks::{Check, Counted};
use super::grid::Grid;
use super::work::Work;
use super::{Step, Topic};

/// Whose lines the tables have.
const WHO: &[&str] = &["ours", "HAProxy tuned", "HAProxy kubeadm"];

/// Judging endpoints.
pub const VERDICTS: Topic = Topic {
    name: "verdicts",
    about: "Real faults of masters beside HAProxy with kubeadm's file and a tuned one, and events that \
            are no faults of theirs: who is cut, who fails, how soon it is known.",
    grids: &[
        Grid {
            number: "3.1",
            title: "Faults of a master",
            about: "Three masters (five where it says so); 50 requests a second on lasting HTTP/2 \
                    connections, a tenth of them POST, 50 a second on new connections, 30 watches \
                    with 10 events a second each. Each figure is the worst of n runs; the \
                    distribution is that of the first. *new failed*: new sessions without an \
                    answer; *in flight*: the same, begun before the fault was there. *lasting \
                    failed*: requests in flight on the victim; *elsewhere*: on others, or where \
                    nobody served; *longest outage*: of one lasting \
                    client. *watches cut*: of those that stood on the victim; *longest gap*: \
                    without an event, for one that watches. *new by master*: answers in the 3 s \
                    before the fault and in the last 3 s. The candidates of a row run at the same \
                    moment, each in a cluster of its own.",
            short: "new sessions failed / slower than 1.5 s / time to verdict; the worst of all \
                    runs",
            who: WHO,
        },
        Grid {
            number: "3.2",
            title: "False alarms",
            about: "The same load; nothing here is a master's fault. *cut or failed*: sessions cut \
                    by whomever, and requests without an answer, of the worst run; the next columns \
                    say of which kind. *called dead*: masters that were given up without being \
                    meant, in all runs.",
            short: "sessions cut and requests failed, in the worst of all runs",
            who: WHO,
        },
    ],
    steps: &[
        Step {
            name: "tables",
            title: "The tables of faults and of false alarms, a storm, and a slow pool",
            work: Work::Tests {
                package: "e2e",
                targets: &["verdicts"],
                only: &[],
                skip: &[],
                seconds: 2 * 3600,
            },
        },
        Step { name: "simulator", title: "The simulator", work: SIMULATOR },
        Step { name: "properties", title: "Properties of all balancing algorithms", work: BALANCE },
    ],
};

const SIMULATOR: Work = Work::Checks {
    package: "eclusa-policy",
    targets: &["--test", "simulation"],
    checks: &[
        Check {
            item: "3.5.1 simulator, 5,000 seeds",
            bound: "every invariant kept",
            filter: "every_seed_keeps_the_invariants",
            environment: &[("ECLUSA_SEEDS", "5000")],
            seconds: 180,
            counted: Counted::Seeds,
            least: 5000,
        },
        Check {
            item: "3.5.2 mutants",
            bound: "each of at least ten caught by the invariant it names",
            filter: "every_mutant_is_caught_by_its_invariant",
            environment: &[],
            seconds: 180,
            counted: Counted::Mutants,
            least: 10,
        },
        Check {
            item: "3.5.3 a seed twice",
            bound: "the same story",
            filter: "a_seed_gives_the_same_story_twice",
            environment: &[],
            seconds: 60,
            counted: Counted::Tests,
            least: 1,
        },
        Check {
            item: "3.5.4 a seed replayed, with its story",
            bound: "it is told, in at least 20 lines",
            filter: "every_seed_keeps_the_invariants",
            environment: &[("ECLUSA_SEED", "7")],
            seconds: 60,
            counted: Counted::Story,
            least: 20,
        },
    ],
};

const BALANCE: Work = Work::Checks {
    package: "eclusa-policy",
    targets: &["--lib"],
    checks: &[Check {
        item: "3.6 property tests of the balance, 1,000 cases each",
        bound: "fair, by weight, candidates only, little movement, Maglev equal on two instances",
        filter: "balance::properties::",
        environment: &[("PROPTEST_CASES", "1000")],
        seconds: 180,
        counted: Counted::Tests,
        least: 6,
    }],
};
