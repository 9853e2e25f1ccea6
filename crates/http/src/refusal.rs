//! Tells of messages that the codec has refused: they are counted, and the last ones kept for the
//! operator.

use crate::h1::{Fault, Trouble};
use eclusa_proxy::layer7::{Connection, Endpoint, Part, Pool, Refusal};

/// A request's body did not come whole: tells of it if the codec has refused it.
pub(crate) fn of_request_body(connection: &Connection, fault: &Fault) {
    if let Fault::Refused(trouble) = fault {
        connection.refused_request(of_body(trouble));
    }
}

/// The same of an answer's body.
pub(crate) fn of_answer_body(
    connection: &Connection,
    fault: &Fault,
    pool: &Pool,
    endpoint: &Endpoint,
) {
    if let Fault::Refused(trouble) = fault {
        connection.refused_answer(of_body(trouble), pool, endpoint);
    }
}

fn of_body(trouble: &Trouble) -> Refusal<'_> {
    let Trouble { reason, bytes, at } = trouble;
    Refusal { reason: *reason, part: Part::Body, bytes, at: *at }
}
