#!/usr/bin/env bash
# Makes a data directory to measure on: a made-up catalog, events, a definition, and a model of 50 neighbours an item,
# active. What follows can be measured on it again and again:
#
#     bench/prepare.sh /tmp/shop && kindred-server --data /tmp/shop --build-every-minutes 0
#
# The figures of the way there go to stdout, one "name value" a line; what happens to stderr.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.bash"
bin=$here/../build/release/bin items=100000 users=100000 per_user=30 neighbours=50 generations=1

usage() {
	cat <<-END
		usage: bench/prepare.sh [--items N] [--users N] [--per-user N] [--neighbours N] [--generations N] [--bin DIR] DIR
		  DIR must not exist. Defaults: $items items, $users users with $per_user events each on average, $neighbours neighbours an item,
		  $generations generation of that shape (2: alike twice, to swap between). --bin: folder of the programs (build/release/bin)
	END
}
while [ $# -gt 1 ] || [ "${1:-}" = --help ]; do
	case $1 in
	--items) items=$2 ;;
	--users) users=$2 ;;
	--per-user) per_user=$2 ;;
	--neighbours) neighbours=$2 ;;
	--generations) generations=$2 ;;
	--bin) bin=$2 ;;
	--help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 64
		;;
	esac
	shift 2
done
dir=${1:-}
[ -n "$dir" ] && [ ! -e "$dir" ] || {
	usage >&2
	exit 64
}
bin=$(cd "$bin" && pwd)
trap stop_server EXIT

say() { printf '%s\n' "$*" >&2; }
# per_second COUNT SINCE
per_second() { calculate 'n / (b - a)' n="$1" a="$2" b="$(now)"; }

"$bin/kindred" init "$dir" >/dev/null
serve "$dir"
# Files first: making the data is no part of the figures.
"$bin/kindred-synthetic" catalog --items "$items" >"$dir.items.csv"
"$bin/kindred-synthetic" events --items "$items" --users "$users" --per-user "$per_user" >"$dir.events.csv"
events=$(($(wc -l <"$dir.events.csv") - 1))

say "a catalog of $items items, imported from CSV"
started=$(now)
"$bin/kindred" catalog import bench "$dir.items.csv" --id id --name name --image image_url --quiet >&2
echo "import_items_per_s $(per_second "$items" "$started")"

say "$events events of $users users, imported from CSV by the command line"
started=$(now)
"$bin/kindred" events import bench "$dir.events.csv" --user user --item item --event event --time time \
	--event-id event_id --quiet >&2
echo "import_events_per_s $(per_second "$events" "$started")"
rm "$dir.items.csv" "$dir.events.csv"

"$bin/kindred" define bench --catalog bench --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1 \
	--filter 'in_stock = true' --exclude Purchased --count 10 >&2
say "a model as the server builds it: its defaults, from the request until all workers serve it"
started=$(now)
"$bin/kindred" model build >&2
echo "build_events_per_s $(per_second "$events" "$started")"

say "$generations of $neighbours neighbours an item, built by hand"
for ((i = 0; i < generations; i++)); do
	"$bin/kindred-builder" --data "$dir" --set "neighbours=$neighbours" --log-level warning >/dev/null
done
stop_server
serve "$dir" # it finds them when it starts
"$bin/kindred" model activate $((1 + generations)) >&2
"$bin/kindred" model list >&2
stop_server
rm -f "$dir.ports" "$dir.log"
echo "events $events"
