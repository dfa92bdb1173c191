#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/kernel/selfcheck.sh: the kernel under the other tests has each thing that they need.
#
# Between two hosts, for each algorithm, AH, tunnel mode and ESP in UDP, over IPv4 and IPv6: one
# message over UDP and one over TCP come back, and the SAs have counted them. Then the events, a
# wide replay window, sockets that can be destroyed, and what must not work: clear text to a
# guarded port. The product takes no part: when this fails, the kernel is at fault, not the code.

. "$(dirname "$0")/../lib.sh"

k16=0x000102030405060708090a0b0c0d0e0f
k20=${k16}10111213
k24=${k16}1011121314151617
sha1="auth-trunc hmac(sha1) $k20 96"
null="enc ecb(cipher_null) \"\""
secret='SIP/2.0 is what must not be seen'

# family 4|6: which addresses to use from here on.
family()
{
	version=$1
	case $1 in
	4) client=192.0.2.1 server=192.0.2.2 any=0.0.0.0 ;;
	6) client=2001:db8::1 server=2001:db8::2 any=:: ;;
	esac
}

# protect PROTO MODE REST: the two SAs, and policies at both hosts that ask for them on port 7.
# Not for all of UDP: the policy check comes before ESP is taken out of UDP. Protocols (6 TCP,
# 17 UDP) are numbers since a small system has no /etc/protocols.
protect()
{
	local there="src $client dst $server" back="src $server dst $client"

	protect_host a out in "$@" && protect_host b in out "$@"
}

# protect_host HOST DIRECTION-THERE DIRECTION-BACK PROTO MODE REST
protect_host()
{
	local tmpl_there="proto $4 reqid 7 mode $5" tmpl_back="proto $4 reqid 7 mode $5"

	if [ "$5" = tunnel ]; then
		tmpl_there="$there $tmpl_there"
		tmpl_back="$back $tmpl_back"
	fi
	ip_batch "$1" <<-END
		xfrm state add $there proto $4 spi 0x101 reqid 7 mode $5 $6
		xfrm state add $back proto $4 spi 0x102 reqid 7 mode $5 $6
		xfrm policy add $there proto 6 dport 7 dir $2 tmpl $tmpl_there
		xfrm policy add $back proto 6 sport 7 dir $3 tmpl $tmpl_back
		xfrm policy add $there proto 17 dport 7 dir $2 tmpl $tmpl_there
		xfrm policy add $back proto 17 sport 7 dir $3 tmpl $tmpl_back
	END
}

unprotect()
{
	ip_batch "$1" <<-END
		xfrm state flush
		xfrm policy flush
	END
}

# talk tcp|udp: one line to the echo server and back. head takes a whole datagram at a time; the
# read of bash takes single bytes and so loses the rest.
talk()
{
	on a timeout 10 bash -c 'exec 3<>"/dev/$1/$2/7" && echo "$3" >&3 &&
		[ "$(timeout 5 head -n 1 <&3)" = "$3" ]' talk "$1" "$server" "$secret"
}

both_counted() { [ "$(sa_packets b 0x00000101)" -gt 0 ] && [ "$(sa_packets b 0x00000102)" -gt 0 ]; }

# carries NAME PROTO MODE REST
carries()
{
	local name="IPv$version $1"

	if ! why=$(protect "$2" "$3" "$4" 2>&1); then
		not_ok "$name: SAs and policies" "$why"
	else
		ok "$name: SAs and policies"
		check "$name: UDP" talk udp
		check "$name: TCP" talk tcp
		check "$name: both SAs counted" both_counted
	fi
	unprotect a
	unprotect b
}

all_kinds()
{
	carries 'ESP hmac(md5), null' esp transport "auth-trunc hmac(md5) $k16 96 $null"
	carries 'ESP hmac(sha1), null' esp transport "$sha1 $null"
	carries 'ESP hmac(sha1), cbc(aes)' esp transport "$sha1 enc cbc(aes) $k16"
	carries 'ESP hmac(sha1), cbc(des3_ede)' esp transport "$sha1 enc cbc(des3_ede) $k24"
	carries 'ESP rfc4106(gcm(aes))' esp transport "aead rfc4106(gcm(aes)) $k20 128"
	carries 'ESP rfc4543(gcm(aes))' esp transport "aead rfc4543(gcm(aes)) $k20 128"
	carries 'AH hmac(sha1)' ah transport "$sha1"
	carries 'ESP tunnel' esp tunnel "$sha1 enc cbc(aes) $k16"
}

encap() { carries "ESP in UDP, $1" esp "$1" "$sha1 enc cbc(aes) $k16 encap espinudp 4500 4500 $any"; }

# Runs at host $1: an echo server on port 7, UDP and TCP, and a socket on port 4500 that takes
# ESP in UDP.
server()
{
	spawn ip netns exec "${ns[$1]}" python3 -c '
import socket, threading

def bound(kind, family, port):
    new = socket.socket(family, kind)
    new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    new.bind(("", port))
    return new

def echo_udp(on):
    while True:
        on.sendto(*on.recvfrom(2000))

def echo_tcp(on):
    while True:
        with on.accept()[0] as peer:
            peer.sendall(peer.recv(2000))

for family in socket.AF_INET, socket.AF_INET6:
    encap = bound(socket.SOCK_DGRAM, family, 4500)
    encap.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
    threading.Thread(target=echo_udp, args=[encap]).start()
    threading.Thread(target=echo_udp, args=[bound(socket.SOCK_DGRAM, family, 7)]).start()
    tcp = bound(socket.SOCK_STREAM, family, 7)
    tcp.listen()
    threading.Thread(target=echo_tcp, args=[tcp]).start()
'
	check "servers run at $1" wait_for 20 serves "$1"
}

# Three sockets for each of two families.
serves() { [ "$(on "$1" ss -Hlntu 'sport = :7 or sport = :4500' | wc -l)" = 6 ]; }

listens() { on "$1" ss -Hlntu "sport = :$2" | grep -q .; }

clear_text_is_refused()
{
	family 4
	protect esp transport "$sha1 $null"
	check 'protected: the port answers' talk udp
	unprotect a
	xfrm_save b
	check_fails 'in clear: the same port does not answer' talk udp
	check 'the packet was counted as InTmplMismatch' \
		sh -c 'echo "$1" | grep -q "^XfrmInTmplMismatch "' sh "$(xfrm_changes b)"
	unprotect b
}

events()
{
	spawn ip netns exec "${ns[a]}" ip xfrm monitor >"$tmp/events"
	wait_for 20 sees_event 'spi 0x00000201'
	check 'events: a new SA is announced' grep -q 'spi 0x00000201' "$tmp/events"
	check 'events: its hard limit is announced' wait_for 20 grep -q Expired "$tmp/events"
	check 'the SA is gone after it' wait_for 20 sa_is_gone 0x00000201
}

# The monitor subscribes at some time after its start: SAs are added until one shows.
sees_event()
{
	ip -n "${ns[a]}" xfrm state del src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x201
	ip -n "${ns[a]}" xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x201 reqid 7 \
		mode transport auth-trunc 'hmac(sha1)' $k20 96 enc 'ecb(cipher_null)' '' limit time-hard 2
	sleep 0.2
	grep -q "$1" "$tmp/events"
}

sa_is_gone() { ! ip -n "${ns[a]}" xfrm state | grep -q "spi $1"; }

sockets_can_be_destroyed()
{
	spawn ip netns exec "${ns[b]}" socat -lf /dev/null -u TCP-LISTEN:9 OPEN:/dev/null
	wait_for 20 listens b 9
	spawn ip netns exec "${ns[a]}" socat -lf /dev/null -u EXEC:'sleep 1000' TCP:192.0.2.2:9
	check 'a connection is there' wait_for 20 connected
	on b ss -K -tn 'sport = :9' >/dev/null
	check 'ss -K destroys it at both ends' wait_for 20 not_connected
}

connected() { on a ss -Htn state established 'dport = :9' | grep -q .; }
not_connected() { ! connected; }

echo "# $(uname -r)"
new_host a
new_host b
join a b
server a
server b
capture b "$tmp/clear"
for each in 4 6; do
	family $each
	check "IPv$version in clear: UDP" talk udp
	check "IPv$version in clear: TCP" talk tcp
done
capture_end "$tmp/clear"
check 'the capture sees clear text' clear_text "$tmp/clear" 'SIP/2'

capture a "$tmp/a"
capture b "$tmp/b"
for each in 4 6; do
	family $each
	all_kinds
	encap tunnel
done
family 4
encap transport
for host in a b; do
	capture_end "$tmp/$host"
	check "$host sent protected packets" test "$(captured "$tmp/$host" "$protected")" -gt 50
	check "$host sent nothing in clear" no_clear_sip "$tmp/$host"
done

clear_text_is_refused
events
check 'a replay window of 128' ip -n "${ns[a]}" xfrm state add src 192.0.2.1 dst 192.0.2.2 \
	proto esp spi 0x301 reqid 7 mode transport auth-trunc 'hmac(sha1)' $k20 96 \
	enc 'ecb(cipher_null)' '' replay-window 128
check 'an xfrm interface' ip -n "${ns[a]}" link add xfrm7 type xfrm dev wire if_id 7
sockets_can_be_destroyed
tap_done
