//! Descriptors: a bed of hundreds of endpoints wants more of them than a process has by itself.

use crate::layout::Layout;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What one endpoint wants, for one program: to listen, and for three connections, each of which is held twice.
const OF_ENDPOINT: u64 = 7;

/// What everything else wants: files, signals, clients, sockets of the programs.
const OTHERS: u64 = 100;

/// Sees to it that there are enough; the programs that are started have them, too.
///
/// # Errors
/// There are not.
pub(crate) fn wanted(layout: &Layout) -> Result<(), String> {
    let places = layout.places.len();
    let wanted = OTHERS + 2 * OF_ENDPOINT * u64::try_from(places).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(wanted, limit.current, limit.maximum, places)? else { return Ok(()) };
    setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit })
        .map_err(|error| format!("the limit of open files cannot be raised to {raised}: {error}"))
}

/// The limit that is to be in force; `None`: the one that is will do. A limit that is `None` is none.
fn raised(
    wanted: u64,
    soft: Option<u64>,
    hard: Option<u64>,
    places: usize,
) -> Result<Option<u64>, String> {
    if soft.is_none_or(|soft| soft >= wanted) {
        return Ok(None);
    }
    match hard {
        Some(hard) if hard < wanted => Err(format!(
            "{places} endpoints want {wanted} open files, and this process may have {hard}: let it have more, \
             with `ulimit -n {wanted}` as root, or `systemd-run --pty -p LimitNOFILE={wanted}` in front of the \
             command"
        )),
        _ => Ok(Some(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        assert_eq!(raised(500, Some(1_024), Some(4_096), 9), Ok(None));
        assert_eq!(raised(500, None, None, 9), Ok(None));
        assert_eq!(raised(5_000, Some(1_024), Some(524_288), 9), Ok(Some(5_000)));
        assert_eq!(raised(5_000, Some(1_024), None, 9), Ok(Some(5_000)));
        let told = raised(5_000, Some(1_024), Some(4_096), 9).unwrap_err();
        assert_eq!(
            told,
            "9 endpoints want 5000 open files, and this process may have 4096: let it have more, with \
             `ulimit -n 5000` as root, or `systemd-run --pty -p LimitNOFILE=5000` in front of the command"
        );
    }
}
