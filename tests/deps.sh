#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/deps.sh build|deb|test: install the Debian packages that building, building packages, or
# building and testing need. Nothing is done, and nothing said, when all are there.

set -eu

build='
gcc
libc6-dev
libcap-ng-dev
libconfuse-dev
libevent-dev
liblmdb-dev
liblz4-dev
libjansson-dev
libmnl-dev
libnl-3-dev
libnl-xfrm-3-dev
libosip2-dev
libseccomp-dev
libssl-dev
pkg-config
uthash-dev
'

deb='
build-essential
debhelper
dpkg-dev
'

# clang: the second compiler. libclang-rt-14-dev: its sanitizers and libFuzzer. clang-tidy, cppcheck,
# valgrind: tests/analyse.py. The kernel for the
# tests: qemu-system-x86, busybox-static, cpio, kmod, xz-utils. python3-cryptography: AES for the
# home network of the demo. curl, redis-tools (redis-cli): clients of HTTP and of RESP2. nftables,
# conntrack: a real NAT. kamailio: the P-CSCF of tests/e2e; -redis-modules (ndb_redis),
# -extra-modules (jansson) and -lua-modules (app_lua) is what conf/kamailio loads;
# -ims-modules (ims_ipsec_pcscf) is what tests/bench measures beside us.
# strongswan-charon, strongswan-swanctl, tshark, sip-tester: an IKE daemon, a reader of ESP and a
# phone (SIPp) that others have written. prometheus: promtool, which reads metrics, rules and
# queries as a server does.
# zsh: completion is tried in it, as in bash.
test='
busybox-static
clang
clang-tidy
conntrack
cpio
cppcheck
curl
g++
iproute2
jq
kamailio
kamailio-extra-modules
kamailio-ims-modules
kamailio-lua-modules
kamailio-redis-modules
kmod
libclang-rt-14-dev
libcmocka-dev
lintian
mandoc
nftables
procps
prometheus
python3
python3-cryptography
qemu-system-x86
redis-tools
sip-tester
socat
strace
strongswan-charon
strongswan-swanctl
systemd
tcpdump
tshark
util-linux
valgrind
xz-utils
zsh
'

case ${1-} in
build) wanted=$build ;;
deb) wanted="$build $deb" ;;
test) wanted="$build $deb $test" ;;
*) echo "usage: tests/deps.sh build|deb|test" >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) || state=
	case $state in
	ii*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: these Debian packages are missing, and only root can install them:" >&2
	echo "deps:  $missing" >&2
	exit 1
fi
# The tests start what they need by themselves: no package may put a server into service here.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 0755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
echo "deps: installing$missing"
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing
