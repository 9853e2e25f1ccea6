//! Whether somebody keeps the clock of this host right (adjtimex(2)).

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

/// What the kernel knows of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// A time service keeps it right (`STA_UNSYNC` is not set).
    pub synchronised: bool,
    /// How wrong it may be at most; grows while nobody corrects it.
    pub error_max: Duration,
}

/// Asks the kernel, and changes nothing.
///
/// # Errors
/// What adjtimex(2) says: a sandbox forbids the call.
pub fn state() -> io::Result<ClockState> {
    let mut timex = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the pointer is valid for reading and writing; all zeroes are a valid `timex`, and its
    // `modes` of zero ask the kernel to change nothing.
    let (answer, timex) = unsafe {
        let answer = libc::adjtimex(timex.as_mut_ptr());
        (answer, timex.assume_init())
    };
    if answer == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(ClockState {
        synchronised: answer != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0,
        error_max: Duration::from_micros(u64::try_from(timex.maxerror).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers_and_the_clock_runs_on() {
        let state = state().unwrap();
        // The kernel counts no further than 16 s.
        assert!(state.error_max <= Duration::from_secs(16), "{state:?}");
        assert!(!state.synchronised || state.error_max < Duration::from_secs(16), "{state:?}");
    }
}
