#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/kernel/service.sh: the service as `make install` leaves it, under a systemd of its own.
#
# That systemd is the first process of new namespaces, on a copy-on-write view of this machine
# whose /sys and /proc/sys cannot be written: nothing outside notices it. In there runs the same
# script that the Debian package brings as its test, conf/debian/tests/service. Prints TAP.

set -eu
cd "$(dirname "$0")/../.."
repo=$PWD

if [ "${1-}" != inside ]; then
	out=$(mktemp -d)
	export out
	# The limit is for a systemd that does not come up.
	timeout -k 5 600 unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc \
		"$0" inside >"$out/log" 2>&1 || true
	name='the installed service starts, answers, and is restarted under its callers'
	echo 1..1
	if grep -q '^service: done' "$out/said" 2>/dev/null; then
		echo "ok 1 - $name"
	else
		echo "not ok 1 - $name"
		cat "$out/log" "$out/said" 2>/dev/null | tail -80 | sed 's/^/# /'
	fi
	rm -rf "$out"
	exit
fi

view=$out/view
mkdir "$view"
mount -t tmpfs -o mode=0755 tmpfs "$view"
mkdir "$view/upper" "$view/work" "$view/root"
mount -t overlay -o "lowerdir=/,upperdir=$view/upper,workdir=$view/work" overlay "$view/root"
root=$view/root

make -s install "DESTDIR=$root" PREFIX=/usr UNITDIR=/lib/systemd/system "BUILD=${BUILD:-build}"
mkdir -p "$root/etc/secagreed" "$root/said"
cp conf/secagreed.conf "$root/etc/secagreed"
mount --bind "$out" "$root/said"

# Nothing of what this machine does when it boots.
rm -rf "$root"/etc/systemd/system/* "$root/lib/systemd/system/sysinit.target.wants" "$root/etc/fstab"

mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
	touch "$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
touch "$out/console" "$root/dev/console"
mount --bind "$out/console" "$root/dev/console"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
chroot "$root" systemd-sysusers secagreed.conf
cp conf/debian/tests/service "$root/usr/lib/secagreed-test"

cat >"$root/etc/systemd/system/secagreed-test.service" <<'END'
[Unit]
Wants=systemd-journald.service
After=systemd-journald.service
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'sh -x /usr/lib/secagreed-test >/said/said 2>&1; \
	systemctl --no-pager status secagreed.service >>/said/said 2>&1; \
	journalctl --no-pager -u secagreed.service >>/said/said 2>&1'
END
# Not chroot: systemd makes mount namespaces of its own for services.
mkdir "$root/outside"
cd "$root"
pivot_root . outside
umount -l /outside
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lxc TERM=dumb \
	/lib/systemd/systemd --unit=secagreed-test.service
