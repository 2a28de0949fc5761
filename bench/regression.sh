#!/usr/bin/env bash
# Fails when scoring or a call has become dearer: by instructions and by CPU time against an empty handler in the same
# run, never by wall time, so that a busy machine does not matter. Under a minute. The limits are below; a change that
# needs another one says why in its commit.
# usage: bench/regression.sh [BIN]      BIN: folder of the programs (build/release/bin); needs valgrind
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.bash"
bin=$(cd "${1:-$here/../build/release/bin}" && pwd)

# Instructions of profile_make and scorer_top a query: 20,000 items, 50 neighbours, 30 events, 10 wanted, built by gcc
# 12 with -O2.
kernel_instructions_most=42000
# CPU of server and workers a unary Recommend, in those of kindred-ceiling: 1.9 to 2.2 with the machine to itself.
unary_cpu_ratio_most=3.2

home=$(mktemp -d /tmp/kindred-regression-XXXXXX)
ceiling=
finish() {
	stop_server
	[ -z "$ceiling" ] || kill "$ceiling" 2>/dev/null || true
	rm -rf "$home"
}
trap finish EXIT
failed=0
# check NAME VALUE MOST
check() {
	local verdict=ok
	[ "$(calculate '(v <= most)' v="$2" most="$3")" = 1 ] || { verdict=FAILED failed=1; }
	printf '%-28s %10s   at most %-8s %s\n' "$1" "$2" "$3" "$verdict"
}

# instructions QUERIES: of the whole process.
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin/kindred-kernel" --made-up "$1" 2>&1 |
		sed -n 's/.*Collected *: *//p'
}
# The difference of two runs leaves out making the model.
few=$(instructions 1000) many=$(instructions 3000)
check kernel_instructions "$(calculate '(b - a) / 2000' a="$few" b="$many")" $kernel_instructions_most

"$here/prepare.sh" --bin "$bin" --items 20000 --users 5000 "$home/data" >/dev/null 2>"$home/log" || {
	cat "$home/log" >&2
	exit 1
}
"$bin/kindred-ceiling" --listen 127.0.0.1:0 --answer-bytes 330 >"$home/ports" &
ceiling=$!
serve "$home/data"
cpu() { "$bin/kindred-bench" recommend --users 5000 --seconds 2 --warmup 0.5 --json "$@" | field cpu_us_per_unit; }
for round in 1 2 3 4 5; do
	mine=$(cpu) empty=$(cpu --server "127.0.0.1:$(sed -n 's/^grpc //p' "$home/ports")" --pid $ceiling)
	printf 'a Recommend %s us of CPU, an empty call %s us\n' "$mine" "$empty" >&2
	calculate 'a / b' a="$mine" b="$empty"
	echo
done | sort -g >"$home/ratios"
check unary_cpu_ratio "$(sed -n 3p "$home/ratios")" $unary_cpu_ratio_most
exit $failed
