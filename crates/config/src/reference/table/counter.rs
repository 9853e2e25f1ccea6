//! Keys of counters.

use super::{COUNTER_SECTION, DAY, duration, seconds};
use crate::reference::{Default, Key, Kind};

/// `[counter.NAME]`
pub static COUNTERS: Key = Key {
    name: "counter",
    kind: Kind::Named(&COUNTER_SECTION),
    default: Default::Words("none"),
    help: "What rules with `count` count, and conditions with `counted_over` and `at_once_over` ask.",
};

/// The time of a counter.
pub static COUNTER_WITHIN: Key = Key {
    name: "within",
    kind: duration(seconds(1), seconds(DAY)),
    default: Default::Required,
    help: "Requests of the last so long count; those of the time before it by the part of it that still \
           lies within.",
};

/// Forgetting.
pub static FORGET_AFTER: Key = Key {
    name: "forget_after",
    kind: duration(seconds(1), seconds(DAY)),
    default: Default::Words("twice `within`, when nothing counts any more"),
    help: "A client is forgotten when it has not asked, nor been answered, for so long.",
};

/// Size of the table.
pub static COUNTER_CLIENTS: Key = Key {
    name: "clients",
    kind: Kind::Integer { min: 1, max: 16_777_216 },
    default: Default::Value("65536"),
    help: "Clients that are known at once, 100 bytes each; one more takes the place of the one that was \
           quiet for the longest time.",
};
