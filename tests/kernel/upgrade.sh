#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/kernel/upgrade.sh: the Debian package under a systemd: an upgrade while a phone is registered
# and a caller calls, and a purge after which the machine is as it was. `make deb` comes first; the
# higher version is the same package with another number. What is done there: lib/upgrade. Prints TAP.

set -eu
cd "$(dirname "$0")/../.."
. tests/kernel/lib/systemd.sh

name='the package is upgraded under living SAs and callers, and purged without a trace'
script=tests/kernel/lib/upgrade

prepare()
{
	mkdir "$root/debs"
	cp "${BUILD:-build}"/deb/secagreed_[0-9]*.deb "$root/debs/older.deb"
	dpkg-deb --raw-extract "$root/debs/older.deb" "$root/debs/tree"
	sed -i 's/^Version: .*/&+newer/' "$root/debs/tree/DEBIAN/control"
	dpkg-deb -Znone --build "$root/debs/tree" "$root/debs/newer.deb"
	rm -r "$root/debs/tree"
	# The other packages have no files there: to read the names of all takes longer than the rest.
	db=/var/lib/dpkg
	mount -t tmpfs -o mode=0755 tmpfs "$root$db"
	mkdir "$root$db/info" "$root$db/updates" "$root$db/triggers"
	cp "$db/status" "$root$db"
	cp "$db/info/format" "$root$db/info"
	(cd "$db/info" && ls -- *.list) | (cd "$root$db/info" && xargs touch)
	rm -f "$root/usr/sbin/policy-rc.d" # services may be started there
}

under_systemd "$@"
