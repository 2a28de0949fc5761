#!/usr/bin/env bash
# The whole report: made-up data through the real processes, load on them, a table at the end and one JSON line.
# usage: bench/report.sh [--quick] [BIN]      BIN: folder of the programs (build/release/bin); normally called by ./run bench
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.bash"
quick=0
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
bin=$(cd "${1:-$here/../build/release/bin}" && pwd)
items=100000 users=100000 per_user=30 seconds=10
if [ $quick = 1 ]; then users=30000 seconds=4; fi

home=$(mktemp -d /tmp/kindred-bench-XXXXXX)
ceiling=
finish() {
	stop_server
	[ -z "$ceiling" ] || kill "$ceiling" 2>/dev/null || true
	rm -rf "$home"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
prepared() { sed -n "s/^$1 //p" "$home/prepared"; }

say "machine: $(nproc) cores, $(uname -m), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1); $("$bin/kindred" --version | head -1)"
say "set-up: a catalog of $items items, $users users with about $per_user events each, a model of 50 neighbours an item"
"$here/prepare.sh" --bin "$bin" --items $items --users $users --per-user $per_user "$home/data" >"$home/prepared"
cat "$home/prepared"

say "kindred-kernel: scoring alone, on all cores"
"$bin/kindred-kernel" --data "$home/data" --seconds $seconds --json | tee "$home/kernel.json"
"$bin/kindred-ceiling" --listen 127.0.0.1:0 --answer-bytes 330 >"$home/ceiling.ports" &
ceiling=$!
serve "$home/data"

show() {
	printf '%s units/s   p50 %s  p90 %s  p99 %s  p99.9 %s  max %s ms   errors %s\n' "$(field units_per_s <"$1")" \
		"$(field p50_ms <"$1")" "$(field p90_ms <"$1")" "$(field p99_ms <"$1")" "$(field p999_ms <"$1")" \
		"$(field max_ms <"$1")" "$(field error_count <"$1")"
}
# load NAME ARGUMENT..: on the server.
load() {
	local name=$1
	shift
	say "kindred-bench $*"
	"$bin/kindred-bench" "$@" --server "$KINDRED_SERVER" --users $users --items $items --seconds $seconds --json >"$home/$name.json" || true
	show "$home/$name.json"
}
load_ceiling() {
	local name=$1
	shift
	say "kindred-bench $* on kindred-ceiling"
	"$bin/kindred-bench" "$@" --server "127.0.0.1:$(sed -n 's/^grpc //p' "$home/ceiling.ports")" --pid $ceiling \
		--users $users --seconds $seconds --json >"$home/$name.json" || true
	show "$home/$name.json"
}
load alone recommend --in-flight 1 --connections 1
load_ceiling alone_ceiling recommend --in-flight 1 --connections 1
load unary recommend --in-flight 16
load_ceiling unary_ceiling recommend --in-flight 16
load wide recommend --in-flight 64
half=$(field answers_per_s <"$home/unary.json" | awk '{ printf "%d", $1 / 2 }')
load half recommend --in-flight 256 --rate "$half"
load many many --streams 2 --in-flight 4 --batch 256
load ingest ingest --streams 2 --in-flight 4 --batch 1000
load lone ingest-unary --in-flight 1 --connections 1

say "summary"
# of NAME FIELD
of() { field "$2" <"$home/$1.json"; }
printf '{"alone_p50_ms":%s,"alone_p50_ratio":%s,"unary_rate":%s,"unary_cpu_us":%s,"unary_cpu_ratio":%s,"unary_p50_ms":%s,"unary_p99_ms":%s,"half_rate":%s,"half_p99_ms":%s,"campaign_users_per_s":%s,"campaign_kernel_ratio":%s,"ingest_events_per_s":%s,"ingest_lone_p50_ms":%s,"import_events_per_s":%s,"import_items_per_s":%s,"build_events_per_s":%s}\n' \
	"$(of alone p50_ms)" "$(calculate 'a / b' a="$(of alone p50_ms)" b="$(of alone_ceiling p50_ms)")" \
	"$(of unary answers_per_s)" "$(of unary cpu_us_per_unit)" \
	"$(calculate 'a / b' a="$(of unary cpu_us_per_unit)" b="$(of unary_ceiling cpu_us_per_unit)")" \
	"$(of unary p50_ms)" "$(of unary p99_ms)" "$half" "$(of half p99_ms)" "$(of many units_per_s)" \
	"$(calculate 'a / b' a="$(of many units_per_s)" b="$(of kernel users_per_s)")" \
	"$(of ingest units_per_s)" "$(of lone p50_ms)" "$(prepared import_events_per_s)" "$(prepared import_items_per_s)" \
	"$(prepared build_events_per_s)"
