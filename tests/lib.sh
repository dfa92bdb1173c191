# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# tests/lib.sh: what kernel tests written in bash share. To be sourced.
#
# Results are TAP: ok, not_ok, skip, check, and tap_done at the very end (a test that ends early
# prints no plan and a status that is not 0). Test hosts are network namespaces with names of this
# process alone; they, the processes started with spawn and $tmp go when the script ends, however
# it ends. Nothing here sleeps for a result: wait_for polls a condition.

set -u

tap_count=0
tap_failed=0
tap_finished=no
spawned=()
hosts=()
tmp=$(mktemp -d) || exit 1

# --- results

ok() { tap_count=$((tap_count + 1)); printf 'ok %d - %s\n' $tap_count "$1"; }

# not_ok NAME [DETAIL]: a failure; DETAIL may have several lines.
not_ok()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' $tap_count "$1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

# skip NAME REASON
skip() { tap_count=$((tap_count + 1)); printf 'ok %d - %s # SKIP %s\n' $tap_count "$1" "$2"; }

# check NAME COMMAND...: ok when COMMAND succeeds; else what it printed is the detail.
check()
{
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$* (status $?)${output:+: $output}"
	fi
}

# check_fails NAME COMMAND...: ok when COMMAND fails.
check_fails()
{
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		not_ok "$name" "$* succeeded${output:+: $output}"
	else
		ok "$name"
	fi
}

# The last line of every test.
tap_done()
{
	printf '1..%d\n' $tap_count
	tap_finished=yes
	[ $tap_failed = 0 ]
	exit
}

# --- ends of things

none_left() { [ -z "$(jobs -pr)" ]; }

clean_up()
{
	local status=$? pid host

	trap - EXIT
	for pid in "${spawned[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait_for 5 none_left || kill -KILL "${spawned[@]}" 2>/dev/null
	wait
	for host in "${hosts[@]}"; do
		ip netns del "$host" 2>/dev/null
	done
	rm -rf "$tmp"
	[ $tap_finished = yes ] || { echo 'Bail out! ended early'; [ $status != 0 ] || status=1; }
	exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# spawn COMMAND...: runs in the background until the script ends or kills $!. Not under check,
# which waits for the end of whatever holds the output.
spawn() { "$@" & spawned+=($!); }

# wait_for SECONDS COMMAND...: polls until COMMAND succeeds. Fails at the limit.
wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# --- hosts

# new_host NAME: a network namespace; ${ns[NAME]} is its real name.
declare -A ns=()
new_host()
{
	ns[$1]=t$$-$1
	ip netns add "${ns[$1]}" || exit 1
	hosts+=("${ns[$1]}")
	ip -n "${ns[$1]}" link set lo up
}

# on NAME COMMAND...: runs there.
on() { local host=${ns[$1]}; shift; ip netns exec "$host" "$@"; }

# join A B: a veth pair, called "wire" at both ends; the last byte of the addresses is 1 at A and
# 2 at B: 192.0.2.x/24 and 2001:db8::x/64.
join()
{
	ip link add wire netns "${ns[$1]}" type veth peer name wire netns "${ns[$2]}" || exit 1
	address "$1" 1
	address "$2" 2
}

address()
{
	ip -n "${ns[$1]}" address add "192.0.2.$2/24" dev wire
	ip -n "${ns[$1]}" address add "2001:db8::$2/64" dev wire nodad
	ip -n "${ns[$1]}" link set wire up
}

# --- xfrm

# ip_batch NAME: standard input as "ip -batch" at NAME.
ip_batch() { ip -n "${ns[$1]}" -batch -; }

# xfrm_counter NAME COUNTER: its value now, from /proc/net/xfrm_stat.
xfrm_counter() { on "$1" awk -v key="$2" '$1 == key { print $2 }' /proc/net/xfrm_stat; }

# xfrm_save NAME / xfrm_changes NAME: the counters that moved since the first, "Counter +n" a line.
xfrm_save() { on "$1" cat /proc/net/xfrm_stat >"$tmp/xfrm_stat.$1"; }
xfrm_changes()
{
	on "$1" awk 'NR == FNR { was[$1] = $2; next } $2 != was[$1] { print $1, "+" $2 - was[$1] }' \
		"$tmp/xfrm_stat.$1" /proc/net/xfrm_stat
}

# sa_packets NAME SPI: packets that the SA with that SPI (as "ip xfrm" prints it) has carried.
sa_packets()
{
	ip -n "${ns[$1]}" -s xfrm state | awk -v spi="$2" '
		$1 == "proto" { here = index($0, "spi " spi) > 0 }
		here && /\(bytes\), .*\(packets\)$/ { print $2 + 0; exit }'
}

# --- captures

# capture NAME FILE: everything that NAME sends, until capture_end FILE. Returns when it runs.
# Not what it receives: what came out of a tunnel passes the interface a second time, in clear.
declare -A captures=()
capture()
{
	spawn ip netns exec "${ns[$1]}" tcpdump -i wire -Q out -U -n -w "$2" 2>"$2.log"
	captures[$2]=$!
	wait_for 20 grep -q 'listening on' "$2.log"
}

capture_end()
{
	kill "${captures[$1]}"
	wait "${captures[$1]}" 2>/dev/null
	true
}

# captured FILE [FILTER]: the number of packets.
captured() { tcpdump -n -r "$1" "${@:2}" 2>/dev/null | wc -l; }

# What is protected on the wire, as a filter.
protected='(ip proto 50 or ip proto 51 or ip6 proto 50 or ip6 proto 51 or udp port 4500)'

# clear_text FILE PATTERN [FILTER]: lines of unprotected packets that match; fails when none does.
clear_text()
{
	tcpdump -n -A -r "$1" "not $protected${3:+ and ($3)}" 2>/dev/null | grep -aE "$2"
}

# no_clear_sip FILE [FILTER]: true when no unprotected packet carries SIP. Prints those that do.
no_clear_sip() { ! clear_text "$1" 'SIP/2\.0' "${2:-}"; }
