#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# FUZZ_DIR=build/fuzz FUZZ_S=60 tests/fuzz/run.sh: every fuzz target, built in FUZZ_DIR, first over
# its corpus, file by file, then for FUZZ_S seconds from there on, two targets at a time. With
# FUZZ_S=0 only the corpus; with FUZZ_SEED=1 the same way each time, as far as the time takes it. A
# crash, a leak, a hang and too much memory are findings; what shows it again lies in
# FUZZ_DIR/findings. New inputs go to FUZZ_DIR/corpus-TARGET, never into the tree. Prints TAP.

set -u
cd "$(dirname "$0")/../.." || exit 1
dir=${FUZZ_DIR:-build/fuzz}
seconds=${FUZZ_S:-60}
rm -f "$dir"/*.status
limits=(-timeout=10 -rss_limit_mb=2048 -print_final_stats=1)

# What each target needs beside the limits. The header parser promises linear time: longer inputs
# than it takes.
declare -A lengths=([header]=65536 [sip]=16384 [sip_flow]=16384 [control]=16384)

# run_target TARGET: a log for each of its two steps.
run_target()
{
	local target=$1 log=$dir/$1.log

	mkdir -p "$dir/corpus-$target" "$dir/findings"
	"$dir/fuzz_$target" "${limits[@]}" -artifact_prefix="$dir/findings/$target-" \
		"tests/fuzz/corpus/$target"/* >"$log.corpus" 2>&1
	echo $? >"$log.corpus.status"
	[ "$seconds" -gt 0 ] || return
	"$dir/fuzz_$target" "${limits[@]}" -artifact_prefix="$dir/findings/$target-" \
		-seed="${FUZZ_SEED:-0}" -max_total_time="$seconds" -max_len="${lengths[$target]:-4096}" \
		-dict="tests/fuzz/$target.dict" "$dir/corpus-$target" "tests/fuzz/corpus/$target" \
		>"$log" 2>&1
	echo $? >"$log.status"
}

n=0

# The lines of a log that say what was found and where.
telling='not so:|ERROR:|SUMMARY:|runtime error:|No such|^ *#[0-9]+ .*/(proto|xfrm|daemon|tests)/'

# report LOG RUNS NAME NOTE: good when it ended well and has run something.
report()
{
	local found

	n=$((n + 1))
	if [ "$(cat "$1.status")" = 0 ] && [ "${2:-0}" -gt 0 ]; then
		echo "ok $n - $3 # $4"
		return
	fi
	echo "not ok $n - $3"
	echo "# exit status $(cat "$1.status")"
	{ grep -a '^Running:' "$1" | tail -n 1; grep -aE "$telling" "$1" | tail -n 24; } |
		cut -c 1-200 | sed 's/^/# /'
	found=$(sed -n 's/.*Test unit written to //p' "$1" | tail -n 1)
	[ -n "$found" ] || return
	echo "# $found"
	[ "$(stat -c %s "$found")" -gt 4096 ] || base64 "$found" | sed 's/^/# /'
}

stat_of() { sed -n "s/^stat::$2: *//p" "$1"; }

targets=()
for source in tests/fuzz/fuzz_*.c; do
	target=${source##*/fuzz_}
	targets+=("${target%.c}")
done

for target in "${targets[@]}"; do
	while [ "$(jobs -pr | wc -l)" -ge 2 ]; do
		wait -n
	done
	run_target "$target" &
done
wait

for target in "${targets[@]}"; do
	log=$dir/$target.log
	files=("tests/fuzz/corpus/$target"/*)
	runs=$(grep -ac '^Executed ' "$log.corpus")
	[ "$runs" = ${#files[@]} ] || runs=0
	report "$log.corpus" "$runs" "$target: the corpus" "$runs files"
	[ "$seconds" -gt 0 ] || continue
	runs=$(stat_of "$log" number_of_executed_units)
	covered=$(grep -aoE 'cov: [0-9]+' "$log" | tail -n 1)
	report "$log" "$runs" "$target: $seconds seconds without a finding" "$runs runs, $covered"
done
echo "1..$n"
