#!/usr/bin/env bash
# Boots the systemd of a Debian root as PID 1 of a container: `boot.sh ROOT PID`, as root, in namespaces
# of its own (`unshare --mount --net --pid --fork --uts --ipc`); PID is that of whoever wants it.
set -euo pipefail
root=$1
owner=$2

# What a container must not do to the machine: its clock, its modules, its audit, a reboot.
forbidden=-sys_boot,-sys_module,-sys_rawio,-sys_time,-syslog,-audit_control,-audit_read,-audit_write

ip link set lo up
# A control group of its own, in a hierarchy mounted here: the machine's may be the older kind.
groups=$(mktemp -d)
mount -t cgroup2 none "$groups"
for left in "$groups"/eclusa-packages-*; do
    # Of one that has ended. What is busy stays.
    find "$left" -depth -type d -exec rmdir {} + 2>/dev/null || true
done
mkdir "$groups/eclusa-packages-$owner"
echo 0 >"$groups/eclusa-packages-$owner/cgroup.procs"
umount "$groups"
rmdir "$groups"

mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
# The kernel's settings are the machine's.
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
unshare --cgroup mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=755 none "$root/dev"
mkdir "$root"/dev/{pts,shm}
for one in full null random tty urandom zero; do
    touch "$root/dev/$one"
    mount --bind "/dev/$one" "$root/dev/$one"
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620 none "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 none "$root/dev/shm"

cd "$root"
mount --move . /
exec unshare --cgroup env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=eclusa-test \
    setpriv --bounding-set "$forbidden" \
    chroot . /lib/systemd/systemd --unit=multi-user.target --log-target=journal --show-status=no
