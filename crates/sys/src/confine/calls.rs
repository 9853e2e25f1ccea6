//! seccomp(2): which system calls a process can make.
//!
//! The list was made by watching a loaded engine (strace) and reading what tokio, the C library and
//! aws-lc fall back to. A call that is not on it fails with `EPERM`; the filter is loaded with
//! `SECCOMP_FILTER_FLAG_LOG`, so that the kernel logs every such call (audit record type 1326, in
//! the journal as `audit: SECCOMP`). Nothing is ever killed for it.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::io;

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlisted {
    /// It fails with `EPERM`, and the kernel logs it.
    Refused,
    /// The kernel logs it and lets it through.
    Logged,
}

/// Calls that are allowed whatever their arguments.
const LISTED: &[libc::c_long] = &[
    // Memory and threads.
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Signals to itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // Time, chance, who am I.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_rm_watch,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    // Bytes.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_write,
    libc::SYS_writev,
    // Files, as far as Landlock lets it.
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    libc::SYS_unlinkat,
    // The network.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// Older forms that only this architecture has.
#[cfg(target_arch = "x86_64")]
const LISTED_HERE: &[libc::c_long] = &[
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_getrlimit,
    libc::SYS_inotify_init,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const LISTED_HERE: &[libc::c_long] = &[];

/// Of `linux/prctl.h`; libc does not have it for every target.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Calls that are allowed with certain arguments.
fn conditional() -> io::Result<Vec<(libc::c_long, Vec<SeccompRule>)>> {
    let is = |argument, value: u64| {
        let condition = SeccompCondition::new(argument, Length::Dword, Is::Eq, value);
        SeccompRule::new(vec![condition.map_err(refused)?]).map_err(refused)
    };
    let one_of = |argument, values: &[u64]| {
        values.iter().map(|value| is(argument, *value)).collect::<io::Result<Vec<_>>>()
    };
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];
    let families = families.map(|family| u64::from(family.unsigned_abs()));
    let requests = [libc::FIONBIO, libc::FIONREAD, libc::TIOCOUTQ, libc::FIOCLEX, libc::TCGETS];
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_GET_DUMPABLE];
    let names = names.map(|name| u64::from(name.unsigned_abs()));
    let threads = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let thread = SeccompCondition::new(0, Length::Qword, Is::MaskedEq(threads), threads);
    let thread = SeccompRule::new(vec![thread.map_err(refused)?]).map_err(refused)?;
    let own = u64::from(std::process::id());
    Ok(vec![
        // Threads, no processes.
        (libc::SYS_clone, vec![thread]),
        (libc::SYS_socket, one_of(0, &families)?),
        (libc::SYS_socketpair, one_of(0, &[u64::from(libc::AF_UNIX.unsigned_abs())])?),
        (libc::SYS_ioctl, one_of(1, &requests)?),
        (libc::SYS_prctl, one_of(0, &[&names[..], &[PR_SET_VMA]].concat())?),
        // Itself: what abort(3) and raise(3) do.
        (libc::SYS_tgkill, one_of(0, &[own])?),
        (libc::SYS_prlimit64, one_of(0, &[0, own])?),
    ])
}

/// Restricts this thread, and all that it starts later, to the list; returns how many calls are on
/// it, some with conditions. Implies `no_new_privs`.
///
/// # Errors
/// The kernel has no seccomp, or not for this architecture.
pub fn restrict_calls(unlisted: Unlisted) -> io::Result<usize> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        LISTED.iter().chain(LISTED_HERE).map(|call| (*call, Vec::new())).collect();
    rules.extend(conditional()?);
    // The C library starts threads with clone3(2), whose flags no filter can see; told that there is
    // none it falls back to clone(2).
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let without = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let first = program(no_clone3, SeccompAction::Allow, without)?;
    rules.insert(libc::SYS_clone3, Vec::new());
    let count = rules.len();
    let other = match unlisted {
        Unlisted::Refused => SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        Unlisted::Logged => SeccompAction::Log,
    };
    let second = program(rules, other, SeccompAction::Allow)?;
    rustix::thread::set_no_new_privs(true)?;
    if unlisted == Unlisted::Refused {
        load(&first, 0)?;
        // Last: it does not list seccomp(2) itself.
        load(&second, libc::SECCOMP_FILTER_FLAG_LOG)?;
    } else {
        load(&second, libc::SECCOMP_FILTER_FLAG_LOG)?;
    }
    Ok(count)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> io::Result<BpfProgram> {
    let architecture = std::env::consts::ARCH.try_into().map_err(refused)?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture).map_err(refused)?;
    filter.try_into().map_err(refused)
}

/// An error of the compiler.
fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Loads a filter; the crate that compiles it cannot ask for the log.
fn load(program: &BpfProgram, flags: libc::c_ulong) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let filter = libc::sock_fprog {
        len: length,
        // The kernel reads it only; `seccompiler`'s instruction is laid out as the kernel's.
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the pointer is to a `sock_fprog` that outlives the call, whose own pointer is valid for
    // `len` instructions; the kernel copies them and writes nothing.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER),
            flags,
            &raw const filter,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
