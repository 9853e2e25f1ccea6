//! The frame counter: honest clients never reach it, floods do, and how the bytes are cut makes no
//! difference.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod attacks;
mod honest;
mod wire;

#[path = "../../../../fuzz/oracles/http2.rs"]
#[allow(dead_code, reason = "the corpora are replayed elsewhere")]
mod oracle;

use eclusa_wire::http2::{Counter, Flood};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The oracle of the fuzz target over random programs of frames.
    #[test]
    fn any_frames(program in prop::collection::vec(any::<u8>(), 0..1_000)) {
        oracle::check_frames(&program);
    }

    /// The same for gRPC.
    #[test]
    fn any_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        oracle::check_grpc(&bytes);
    }
}

/// It stands under every connection.
#[test]
fn a_counter_is_small() {
    assert!(size_of::<Counter>() <= 200, "{}", size_of::<Counter>());
}

/// Every limit is documented, as it is.
#[test]
fn the_documentation_has_each_limit() {
    let page = std::fs::read_to_string("../../docs/edge.md").unwrap();
    for flood in Flood::ALL {
        let (burst, per_second) = flood.most();
        let row = format!("| `{}` | {burst} | {per_second} | {flood} |\n", flood.word());
        assert!(page.contains(&row), "docs/edge.md: {row}");
    }
}
