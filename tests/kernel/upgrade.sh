#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/kernel/upgrade.sh: the Debian packages of `make deb` under a systemd: their own tests, run by
# autopkgtest; an upgrade to a higher version while a phone is registered and callers call; and a
# purge, after which the kernel has nothing of them either. Prints TAP.

set -eu
cd "$(dirname "$0")/../.."
. tests/kernel/lib/systemd.sh

name='the packages pass their tests, are upgraded under living SAs, and purged without a trace'
limit_s=800
script=tests/kernel/lib/upgrade
debs=${BUILD:-build}/deb

# The newer package is the same with another number. There is no network, and services may be
# started.
prepare()
{
	rm -rf "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/* \
		"$root/usr/sbin/policy-rc.d"
	mkdir "$root/debs" "$root/newer" "$root/tree"
	for package in secagreed secagree-ue libsecagree0 libsecagree-dev; do
		cp "$debs/${package}"_[0-9]*.deb "$root/debs"
	done
	dpkg-deb --raw-extract "$debs"/secagreed_[0-9]*.deb "$root/newer/tree"
	sed -i 's/^Version: .*/&+newer/' "$root/newer/tree/DEBIAN/control"
	dpkg-deb --build "$root/newer/tree" "$root/newer/secagreed.deb"
	cp -a conf/debian "$root/tree/debian"
}

under_systemd "$@"
