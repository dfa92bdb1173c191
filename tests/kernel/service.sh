#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/kernel/service.sh: the service as `make install` leaves it, under a systemd: the same script
# that the Debian package brings as its test, conf/debian/tests/service. Prints TAP.

set -eu
cd "$(dirname "$0")/../.."
. tests/kernel/lib/systemd.sh

name='the installed service starts, answers, and is restarted under its callers'
script=conf/debian/tests/service

prepare()
{
	make -s install "DESTDIR=$root" PREFIX=/usr UNITDIR=/lib/systemd/system \
		"BUILD=${BUILD:-build}"
	mkdir -p "$root/etc/secagreed"
	cp conf/secagreed.conf "$root/etc/secagreed"
	chroot "$root" systemd-sysusers secagreed.conf
}

under_systemd "$@"
