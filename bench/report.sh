#!/usr/bin/env bash
# The whole report: made-up data through the real processes, load on them, a table at the end and one JSON line.
# usage: bench/report.sh [--quick] [BIN]      BIN: folder of the programs (build/release/bin); normally called by ./run bench
set -euo pipefail
quick=0
if [ "${1:-}" = --quick ]; then quick=1; shift; fi
bin=$(cd "${1:-$(dirname "$0")/../build/release/bin}" && pwd)
items=100000 users=100000 per_user=30 seconds=10
if [ $quick = 1 ]; then users=30000 seconds=4; fi

home=$(mktemp -d /tmp/kindred-bench-XXXXXX)
server=
finish() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
	rm -rf "$home"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
# The value of a top-level number or string of one JSON line.
field() { sed -E "s/.*\"$1\":\"?([^,\"}]*).*/\1/"; }

"$bin/kindred" init "$home/data" >/dev/null
"$bin/kindred-server" --data "$home/data" --listen 127.0.0.1:0 --admin-listen '' --port-file "$home/ports" \
	--build-every-minutes 0 --log-level warning 2>"$home/server.log" &
server=$!
until [ -s "$home/ports" ]; do
	kill -0 $server 2>/dev/null || { cat "$home/server.log"; exit 1; }
	sleep 0.05
done
KINDRED_SERVER=127.0.0.1:$(sed -n 's/^grpc //p' "$home/ports")
export KINDRED_SERVER

say "machine: $(nproc) cores, $(uname -m), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1); $("$bin/kindred" --version | head -1)"
say "catalog of $items items, imported from CSV"
"$bin/kindred-synthetic" catalog --items $items >"$home/items.csv"
started=$(date +%s.%N)
"$bin/kindred" catalog import bench "$home/items.csv" --id id --name name --image image_url --quiet
items_per_s=$(echo "$started $(date +%s.%N) $items" | awk '{ printf "%d", $3 / ($2 - $1) }')
echo "$items_per_s items/s"

say "events of $users users, $per_user each on average, imported from CSV by the command line"
"$bin/kindred-synthetic" events --items $items --users $users --per-user $per_user >"$home/events.csv"
events=$(($(wc -l <"$home/events.csv") - 1))
started=$(date +%s.%N)
"$bin/kindred" events import bench "$home/events.csv" --user user --item item --event event --time time --event-id event_id --quiet
import_per_s=$(echo "$started $(date +%s.%N) $events" | awk '{ printf "%d", $3 / ($2 - $1) }')
echo "$import_per_s events/s ($events events)"

say "model: one relation of three event types"
"$bin/kindred" define bench --catalog bench --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1 \
	--filter 'in_stock = true' --exclude Purchased --count 10
started=$(date +%s.%N)
"$bin/kindred" model build
build_per_s=$(echo "$started $(date +%s.%N) $events" | awk '{ printf "%d", $3 / ($2 - $1) }')
echo "$build_per_s events/s from the request until it is served"

load() {
	local name=$1
	shift
	say "kindred-bench $*"
	"$bin/kindred-bench" "$@" --server "$KINDRED_SERVER" --users $users --items $items --seconds $seconds --json >"$home/$name.json" || true
	python3 - "$home/$name.json" <<-'END' 2>/dev/null || cat "$home/$name.json"
		import json, sys
		r = json.load(open(sys.argv[1]))
		unit = {"many": "users", "ingest": "events"}.get(r["workload"], "calls")
		print(f'{r["units_per_s"]:,.0f} {unit}/s   p50 {r["p50_ms"]:.3f}  p90 {r["p90_ms"]:.3f}  p99 {r["p99_ms"]:.3f}'
		      f'  p99.9 {r["p999_ms"]:.3f}  max {r["max_ms"]:.3f} ms   errors {r["error_count"]}')
		for p in r["processes"]:
		    print(f'   {p["name"]:10} {p["cpu_us_per_unit"]:7.2f} us of CPU a {unit[:-1]}, peak {p["peak_bytes"] / 2**20:.0f} MiB')
	END
}
load alone recommend --in-flight 1 --connections 1
load unary recommend --in-flight 16
load wide recommend --in-flight 64
half=$(field answers_per_s <"$home/unary.json" | awk '{ printf "%d", $1 / 2 }')
load half recommend --in-flight 256 --rate "$half"
load many many --streams 2 --in-flight 4 --batch 256
load ingest ingest --streams 2 --in-flight 4 --batch 1000
load lone ingest-unary --in-flight 1 --connections 1

say "summary"
printf '{"alone_p50_ms":%s,"unary_rate":%s,"unary_p50_ms":%s,"unary_p99_ms":%s,"half_rate":%s,"half_p99_ms":%s,"campaign_users_per_s":%s,"ingest_events_per_s":%s,"ingest_alone_p50_ms":%s,"import_events_per_s":%s,"import_items_per_s":%s,"build_events_per_s":%s}\n' \
	"$(field p50_ms <"$home/alone.json")" "$(field answers_per_s <"$home/unary.json")" "$(field p50_ms <"$home/unary.json")" \
	"$(field p99_ms <"$home/unary.json")" "$half" "$(field p99_ms <"$home/half.json")" "$(field units_per_s <"$home/many.json")" \
	"$(field units_per_s <"$home/ingest.json")" "$(field p50_ms <"$home/lone.json")" "$import_per_s" "$items_per_s" "$build_per_s"
