#!/usr/bin/env bash
# Boot a real systemd over a throw-away copy of this machine: `boot.sh CGROUP PYTHON SITE SOURCE`, as
# root, in new namespaces of mounts, PIDs, IPC, names and control groups. What is written goes to
# memory and ends with the process. The network is this machine's, so that a server on the loopback
# can be reached.
#
# PYTHON, SITE and SOURCE are the interpreter, its packages and the checkout: they may lie where no
# service may look (a home), and are shown to it below /opt.
set -euo pipefail
cgroup=$1 python=$2 site=$3 source=$4

if [ "${5:-}" != inside ]; then
    mkdir "$cgroup"
    echo $$ >"$cgroup/cgroup.procs"
    exec setpriv --pdeathsig KILL \
        unshare --fork --kill-child --pid --mount --uts --ipc --cgroup bash "$0" "$@" inside
fi

export container=other
unset NOTIFY_SOCKET LISTEN_FDS LISTEN_PID INVOCATION_ID JOURNAL_STREAM
mount --make-rprivate /
scratch=$(mktemp -d)
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
root=$scratch/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$root"

# Nothing here is the machine's: /run and /tmp are what systemd would clean up first.
for place in run tmp var/tmp var/log dev; do
    mount -t tmpfs -o mode=755 tmpfs "$root/$place"
done
chmod 1777 "$root/tmp" "$root/var/tmp"
mount -t proc proc "$root/proc"
mount --rbind -o ro /sys "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root"/dev/{pts,shm,mqueue} "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

mkdir -p "$root"/opt/syncd-test/{python,site,source}
mount --bind -o ro "$python" "$root/opt/syncd-test/python"
mount --bind -o ro "$site" "$root/opt/syncd-test/site"
mount --bind -o ro "$source" "$root/opt/syncd-test/source"

# No unit of the machine's own, and none that systemd would make of its fstab: they would do things to it.
rm -rf "$root"/{etc,usr/lib}/systemd/system-generators "$root"/etc/systemd/{system,user} \
    "$root"/usr/lib/systemd/system/*.{wants,requires}
mkdir -p "$root/etc/systemd/system" "$root/run/systemd/system" "$root/run/systemd/journald.conf.d"
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' >"$root/run/systemd/system/empty.target"
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nRateLimitBurst=0\n' \
    >"$root/run/systemd/journald.conf.d/test.conf"
# Not a chroot, in which the kernel makes no user namespaces.
mkdir "$root/opt/syncd-test/before"
cd "$root"
pivot_root . opt/syncd-test/before
umount -l /opt/syncd-test/before
# As systemd finds it on a machine: what its helpers mount, such as credentials, is seen by all of it.
mount --make-rshared /
exec /lib/systemd/systemd --system --unit=empty.target --log-target=journal
