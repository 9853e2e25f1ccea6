#!/usr/bin/env bash
# Boots systemd as PID 1 of a container: `booted.sh DIRECTORY PROGRAM...`, as root, in the network
# namespace and the mount namespace that the container is to have. DIRECTORY/files is copied into the
# container's root, and each PROGRAM (a path) stands in its /usr/bin. Returns when PID 1 has ended.
#
# Of the machine the container sees /usr/lib and the like, for reading, and its kernel. All else (/etc,
# /run, /var, /tmp, its part of the control groups) is its own and goes with it.
set -euo pipefail

directory=$1
shift
name=$(basename "$directory") # eclusa-PID-NUMBER-LABEL, PID being the test's
root=$directory/root
groups=$directory/groups

# What systemd needs to start services and keep a journal; nothing of the machine's own services.
units=(
    basic final local-fs local-fs-pre multi-user network network-pre paths shutdown slices sockets swap
    sysinit timers umount
)
units=("${units[@]/%/.target}")
journal=(systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket)
units+=("${journal[@]}")

# What a container must not do to the machine: its clock, its modules, its audit, a reboot.
forbidden=-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-audit_control,-audit_read,-audit_write
forbidden+=,-mac_admin,-mac_override,-wake_alarm,-block_suspend

# A control group of its own, in a hierarchy mounted here: the machine's may be the older kind.
own_group() {
    mkdir "$groups"
    mount -t cgroup2 none "$groups"
    local left pid
    for left in "$groups"/eclusa-*; do
        pid=${left#"$groups"/eclusa-}
        # Left by a test that was killed.
        [ ! -d "$left" ] || [ -e "/proc/${pid%%-*}" ] || remove_group "$left"
    done
    mkdir "$groups/$name"
}

remove_group() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

# Everything below $root.
build() {
    mkdir "$root"
    mount -t tmpfs -o mode=755 none "$root"
    mkdir -p "$root"/{dev,etc,proc,root,run,sys,tmp,usr/bin,var/{cache,lib,log,tmp}}
    chmod 1777 "$root"/{tmp,var/tmp}
    ln -s ../run "$root/var/run"
    mount -t tmpfs -o mode=755 none "$root/run"
    local one
    for one in /bin /lib /lib32 /lib64 /libx32 /sbin; do
        [ ! -L "$one" ] || cp -d "$one" "$root/"
    done
    for one in /usr/lib /usr/lib32 /usr/lib64 /usr/libx32 /usr/sbin /usr/share; do
        [ ! -d "$one" ] || { mkdir "$root$one" && mount --bind -o ro "$one" "$root$one"; }
    done
    for one in "$(command -v systemctl)" "$(command -v journalctl)" "$(command -v sh)" "$@"; do
        touch "$root/usr/bin/${one##*/}"
        mount --bind -o ro "$one" "$root/usr/bin/${one##*/}"
    done
    local lib=$root/usr/lib/systemd
    for one in "$lib/system" "$lib/system-generators" "$root/usr/lib/sysusers.d"; do
        mount -t tmpfs -o mode=755 none "$one"
    done
    cp "${units[@]/#//usr/lib/systemd/system/}" "$lib/system/"
    mkdir "$lib/system/sysinit.target.wants"
    ln -s "${journal[@]/#/../}" "$lib/system/sysinit.target.wants/"
    cp -r "$directory/files/." "$root/"
    systemd-sysusers --root="$root"
    devices
}

devices() {
    local one
    mount -t tmpfs -o mode=755 none "$root/dev"
    mkdir "$root"/dev/{pts,shm}
    for one in full null random tty urandom zero; do
        touch "$root/dev/$one"
        mount --bind "/dev/$one" "$root/dev/$one"
    done
    mount -t devpts -o newinstance,ptmxmode=666,mode=620 none "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    mount -t tmpfs -o mode=1777 none "$root/dev/shm"
}

# What is to be PID 1, in its namespaces but that of the control groups, which begins where it is.
inside() {
    echo 0 >"$groups/$name/cgroup.procs"
    umount "$groups"
    mount -t proc proc "$root/proc"
    # The kernel's settings are the machine's.
    mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
    mount -t sysfs -o ro sysfs "$root/sys"
    unshare --cgroup mount -t cgroup2 none "$root/sys/fs/cgroup"
    cd "$root"
    mount --move . /
    exec unshare --cgroup env -i PATH=/usr/sbin:/usr/bin container=eclusa-test \
        setpriv --bounding-set "$forbidden" \
        chroot . /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no
}

if [ "${INSIDE:-}" ]; then
    inside
fi
own_group
build "$@"
# With this script the container ends, and however it ends, what is left goes.
INSIDE=1 setpriv --pdeathsig=KILL \
    unshare --mount --pid --fork --kill-child=KILL --uts --ipc bash "$0" "$directory" || true
remove_group "$groups/$name"
