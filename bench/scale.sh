#!/usr/bin/env bash
# Ten million users and a million items through the real processes, once: load, build, serve; what it takes in time,
# memory and disk.
# usage: bench/scale.sh [--users N] [--items N] [--per-user N] [--bin BIN] DIR
#   DIR must not exist; it is left there. Defaults: 10,000,000 users with 5 events each on average, 1,000,000 items: about 4 GB of disk.
# Data is streamed from kindred-synthetic into the command line's import, so its speed has a part in that figure.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.bash"
bin=$here/../build/release/bin items=1000000 users=10000000 per_user=5
while [ $# -gt 1 ]; do
	case $1 in
	--items) items=$2 ;;
	--users) users=$2 ;;
	--per-user) per_user=$2 ;;
	--bin) bin=$2 ;;
	*) break ;;
	esac
	shift 2
done
dir=${1:-}
[ $# = 1 ] && [ -n "$dir" ] && [ "${dir#-}" = "$dir" ] && [ ! -e "$dir" ] || {
	sed -n '2,5s/^# //p' "$0" >&2
	exit 64
}
bin=$(cd "$bin" && pwd)
trap stop_server EXIT

figure() { printf '%-32s %s\n' "$1" "$2"; }
per_second() { calculate 'n / (b - a)' n="$1" a="$2" b="$(now)"; }
disk() { du -sB1 "$1" | cut -f1; }
each() { calculate 'b / n' b="$1" n="$2"; }
# status_bytes PID FIELD
status_bytes() { awk -v field="$2:" '$1 == field { printf "%.0f", $2 * 1024 }' "/proc/$1/status" 2>/dev/null || true; }
# The most that the builder, a child of the server, ever had resident while PID runs.
builder_peak() {
	local most=0 now child
	while kill -0 "$1" 2>/dev/null; do
		for child in $(cat "/proc/$server_pid/task/$server_pid/children"); do
			if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = kindred-builder ]; then
				now=$(status_bytes "$child" VmHWM)
				most=$((${now:-0} > most ? ${now:-0} : most))
			fi
		done
		sleep 0.2
	done
	echo $most
}

"$bin/kindred" init "$dir" >/dev/null
serve "$dir"
echo "$users users with about $per_user events each, $items items; $(nproc) cores, $("$bin/kindred" --version | head -1)"
started=$(now)
"$bin/kindred-synthetic" catalog --items "$items" |
	"$bin/kindred" catalog import bench - --id id --name name --image image_url --quiet
figure import_items_per_s "$(per_second "$items" "$started")"
started=$(now)
"$bin/kindred-synthetic" events --items "$items" --users "$users" --per-user "$per_user" --groups 5000 |
	"$bin/kindred" events import bench - --user user --item item --event event --time time --event-id event_id --quiet
seconds=$(calculate 'b - a' a="$started" b="$(now)")
events=$("$bin/kindred" status --json | tr -d ' \n' | field ingest_events)
figure events "$events"
figure import_events_per_s "$(calculate 'n / s' n="$events" s="$seconds")"
"$bin/kindred" define bench --catalog bench --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1 \
	--filter 'in_stock = true' --exclude Purchased --count 10
started=$(now)
"$bin/kindred" model build &
build=$!
peak=$(builder_peak $build)
wait $build
figure build_seconds "$(calculate 'b - a' a="$started" b="$(now)")"
figure build_events_per_s "$(per_second "$events" "$started")"
figure builder_peak_bytes "$peak"
"$bin/kindred" model list

figure disk_bytes_per_user "$(each "$(disk "$dir/shards")" "$users")"
figure model_bytes_per_item "$(each "$(disk "$dir/models")" "$items")"
figure catalog_bytes_per_item "$(each "$(disk "$dir/control")" "$items")"

stop_server
serve "$dir" # so that memory is that of serving alone
echo "after a start, then with load on users at random"
for load in "recommend --in-flight 16" "many --streams 2 --in-flight 4"; do
	# shellcheck disable=SC2086 # words
	"$bin/kindred-bench" $load --users "$users" --items "$items" --seconds 10 --warmup 2
done
for child in $server_pid $(cat "/proc/$server_pid/task/$server_pid/children"); do
	figure "resident_bytes $(cat "/proc/$child/comm")" \
		"own $(status_bytes "$child" RssAnon), of files that it maps $(status_bytes "$child" RssFile)"
done
"$bin/kindred-kernel" --data "$dir" --users 300000 --seconds 5
