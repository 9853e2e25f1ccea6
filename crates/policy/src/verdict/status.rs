//! What stands for the status of an answer where HTTP has none for it, and what each counts as in words.

use std::fmt;

/// An answer that did not come because the connection ended.
pub const NO_ANSWER: u16 = 0;
/// An answer that would be good if its body were the expected one.
pub const OTHER_BODY: u16 = 1;
/// gRPC's health service says that the endpoint is not serving.
pub const NOT_SERVING: u16 = 2;
/// gRPC's health service says that it does not know.
pub const HEALTH_UNKNOWN: u16 = 3;
/// What came is no answer of gRPC over HTTP/2.
pub const NO_GRPC: u16 = 4;
/// The first of those for a `grpc-status`; the least status of HTTP is 100.
const GRPC: u16 = 32;

/// Stands for an answer that failed with this `grpc-status`.
#[must_use]
pub const fn of_grpc(code: u8) -> u16 {
    let code = code as u16;
    // There are 17 of them.
    GRPC + if code > 16 { 2 } else { code }
}

/// Says what a check of this name was answered.
pub(super) fn tell(f: &mut fmt::Formatter<'_>, check: &str, status: u16) -> fmt::Result {
    match status {
        NO_ANSWER => write!(f, "the {check} check gets no answer"),
        OTHER_BODY => write!(f, "the body of the {check} check is not the expected one"),
        NOT_SERVING => f.write_str("its health service answers NOT_SERVING"),
        HEALTH_UNKNOWN => f.write_str("its health service answers that its health is UNKNOWN"),
        NO_GRPC => write!(f, "what it answers to the {check} check is no gRPC over HTTP/2"),
        _ if status == of_grpc(5) => f.write_str(
            "its health service does not know the probe's `service` (grpc-status 5, NOT_FOUND)",
        ),
        _ if status == of_grpc(12) => f.write_str(
            "it has no health service (grpc-status 12, UNIMPLEMENTED); serve \
             grpc.health.v1.Health, or probe it in another way",
        ),
        GRPC..100 => write!(f, "the {check} check answers grpc-status {}", status - GRPC),
        _ => write!(f, "the {check} check answers {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;

    #[test]
    fn each_has_its_words() {
        let told = |status| Reason::NotReady(status).to_string();
        assert_eq!(told(503), "the readiness check answers 503");
        assert_eq!(Reason::Sick(NO_ANSWER).to_string(), "the liveness check gets no answer");
        assert_eq!(told(NOT_SERVING), "its health service answers NOT_SERVING");
        assert_eq!(told(of_grpc(14)), "the readiness check answers grpc-status 14");
        assert!(told(of_grpc(12)).starts_with("it has no health service"), "{}", told(of_grpc(12)));
        assert_eq!(of_grpc(17), of_grpc(2), "a code that there is not is UNKNOWN");
        assert_eq!(of_grpc(u8::MAX), of_grpc(2));
        let codes = (0..=16).map(of_grpc);
        assert!(codes.clone().all(|status| (NO_GRPC + 1..100).contains(&status)));
    }
}
