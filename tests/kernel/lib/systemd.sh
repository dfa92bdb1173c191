# SPDX-License-Identifier: BSD-2-Clause
#
# systemd.sh: runs a script under a systemd of its own. Sourced at the top of the tree by a test that
# sets name (what it shows), script (what is run there, as root, and says "done" last) and
# prepare(), which fills the view at $root, and then calls under_systemd "$@".
#
# That systemd is the first process of new namespaces, on a copy-on-write view of this machine
# whose /sys and /proc/sys cannot be written: nothing outside notices it. What is written there
# shows in /upper. Prints TAP.

under_systemd()
{
	if [ "${1-}" = inside ]; then
		boot
	fi
	out=$(mktemp -d)
	export out
	# The limit is for a systemd that does not come up.
	timeout -k 5 600 unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc \
		"$0" inside >"$out/log" 2>&1 || true
	echo 1..1
	if tail -n 1 "$out/said" 2>/dev/null | grep -q 'done$'; then
		echo "ok 1 - $name"
		grep ': at ' "$out/said" | grep -v '^+' | sed 's/^/# /' || true
	else
		echo "not ok 1 - $name"
		cat "$out/log" "$out/said" "$out/journal" 2>/dev/null | tail -80 | sed 's/^/# /'
	fi
	rm -rf "$out"
}

devices()
{
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
}

lay_view()
{
	view=$out/view
	mkdir "$view"
	mount -t tmpfs -o mode=0755 tmpfs "$view"
	mkdir "$view/upper" "$view/work" "$view/root"
	root=$view/root
	mount -t overlay -o "lowerdir=/,upperdir=$view/upper,workdir=$view/work" overlay "$root"
	mkdir "$root/said" "$root/upper" "$root/outside"
	mount --bind "$out" "$root/said"
	mount --bind "$view/upper" "$root/upper"
	# Nothing of what this machine does when it boots.
	rm -rf "$root"/etc/systemd/system/* "$root/etc/fstab" \
		"$root/lib/systemd/system/sysinit.target.wants" \
		"$root/lib/systemd/system-generators"
	devices
	mount -t proc proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
	mount -t tmpfs -o mode=0755 tmpfs "$root/run"
}

boot()
{
	lay_view
	prepare
	cp "$script" "$root/script"
	cat >"$root/etc/systemd/system/test.service" <<-'END'
		[Unit]
		Wants=systemd-journald.service
		After=systemd-journald.service
		SuccessAction=exit-force
		FailureAction=exit-force
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'sh -x /script >/said/said 2>&1; \
			systemctl --no-pager status secagreed.service >/said/journal 2>&1; \
			journalctl --no-pager -u secagreed.service >>/said/journal 2>&1'
	END
	# Not chroot: systemd makes mount namespaces of its own for services.
	cd "$root"
	pivot_root . outside
	umount -l /outside
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lxc TERM=dumb \
		/lib/systemd/systemd --unit=test.service
}
