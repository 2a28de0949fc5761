#!/usr/bin/env bash
# The whole report: made-up data through the real processes, load on them, each figure beside its target, one JSON
# line at the end.
# usage: bench/report.sh [--quick] [--keep DIR] [BIN]      normally called by ./run bench
#   --quick      less data and shorter loads: under four minutes
#   --keep DIR   leave plots, the JSON of every run and the data there (it must not exist)
#   BIN          folder of the programs (build/release/bin)
#
# A ratio to a ceiling is made of runs that follow each other at once, several times in turn, and is the median of
# them: a machine that is slower for a while is so for both. One server is used for all of it until the swaps are
# over, so its memory then is that of a server that has done all this.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.bash"

usage() { sed -n 's/^# \(usage: \|  --\|  BIN\)/\1/p' "$here/report.sh"; }
wrong() {
	printf 'bench/report.sh: %s\n' "$1" >&2
	usage >&2
	exit 64
}
check=0 quick=0 keep=
while [ $# -gt 0 ]; do
	case $1 in
	--check) check=1 ;; # ./run asks, before it builds, whether the options are right
	--quick) quick=1 ;;
	--keep)
		[ $# -gt 1 ] || wrong "--keep needs a directory"
		[ ! -e "$2" ] || wrong "--keep $2: it exists already"
		keep=$2
		shift
		;;
	--help)
		usage
		exit
		;;
	-*) wrong "there is no option '$1'" ;;
	*) break ;;
	esac
	shift
done
[ $# -le 1 ] || wrong "'$2' is one argument too many"
[ $# = 0 ] || [ -d "$1" ] || wrong "there is no folder '$1'"
[ $check = 0 ] || exit 0
bin=$(cd "${1:-$here/../build/release/bin}" && pwd)
items=100000 users=100000 per_user=30 seconds=5 rounds=5
swap_rounds=1 swaps=20 swap_plan=(--seconds 410 --swap-from 10 --swap-every 20)
if [ $quick = 1 ]; then
	users=30000 seconds=2 rounds=3
	swap_rounds=3 swaps=7 swap_plan=(--seconds 20 --swap-from 8 --swap-every 0.5)
fi

if [ -n "$keep" ]; then
	mkdir "$keep"
	home=$(cd "$keep" && pwd)
else
	home=$(mktemp -d /tmp/kindred-bench-XXXXXX)
fi
ceiling=
finish() {
	stop_server
	[ -z "$ceiling" ] || kill "$ceiling" 2>/dev/null || true
	[ -n "$keep" ] || rm -rf "$home"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }
prepared() { sed -n "s/^$1 //p" "$home/prepared"; }
# of NAME FIELD: of the run's JSON.
of() { field "$2" <"$home/$1.json"; }
# median NAME FIELD: over the rounds of a run.
median() {
	local round
	for ((round = 1; round <= rounds; round++)); do of "$1.$round" "$2"; done | sort -g | sed -n "$(((rounds + 1) / 2))p"
}
# total, largest NAME FIELD: over the rounds of a run.
total() {
	local round
	for ((round = 1; round <= rounds; round++)); do of "$1.$round" "$2"; done | awk '{ all += $1 } END { print all }'
}
largest() {
	local round
	for ((round = 1; round <= rounds; round++)); do of "$1.$round" "$2"; done | sort -g | tail -1
}
# ratio A FIELD B FIELD: the median of the rounds' ratios.
ratio() {
	local round
	for ((round = 1; round <= rounds; round++)); do
		calculate 'a / b' a="$(of "$1.$round" "$2")" b="$(of "$3.$round" "$4")"
		echo
	done | sort -g | sed -n "$(((rounds + 1) / 2))p"
}

# bench NAME ARGUMENT..: kindred-bench with JSON to NAME.json, and a line about it. A run that lost more than a
# seventh of the cores to others is no measurement: it is made again, twice at most, and while there is time.
bench() {
	local name=$1 try lost
	shift
	for try in 1 2 3; do
		"$bin/kindred-bench" "$@" --users $users --items $items --json >"$home/$name.json" || true
		lost=$(calculate '100 * (a + b)' a="$(of "$name" stolen_share)" b="$(of "$name" others_share)")
		printf '%-18s %11.0f/s  p50 %.3f  p90 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms  %s errors  %.2f us of CPU each%s\n' \
			"$name" "$(of "$name" units_per_s)" "$(of "$name" p50_ms)" "$(of "$name" p90_ms)" "$(of "$name" p99_ms)" \
			"$(of "$name" p999_ms)" "$(of "$name" max_ms)" "$(of "$name" error_count)" "$(of "$name" cpu_us_per_unit)" \
			"$([ "${lost%.*}" -lt 5 ] || printf '; others took %.0f%%' "$lost")"
		[ "${lost%.*}" -ge 15 ] && [ "$repeat" = 1 ] && [ $SECONDS -lt $patience ] || return 0
	done
	disturbed=$((disturbed + 1))
}
repeat=1 disturbed=0 patience=$((quick ? 75 : 1200))
# On kindred-ceiling.
bench_ceiling() {
	local name=$1
	shift
	bench "$name" "$@" --server "127.0.0.1:$(sed -n 's/^grpc //p' "$home/ceiling.ports")" --pid $ceiling
}
short=(--seconds $seconds --warmup 0.5)

say "machine: $(nproc) cores, $(uname -m), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1); $("$bin/kindred" --version | head -1)"
say "set-up: a catalog of $items items, $users users with about $per_user events each, a model of 50 neighbours an item"
"$here/prepare.sh" --bin "$bin" --items $items --users $users --per-user $per_user --generations 2 "$home/data" \
	>"$home/prepared" 2>"$home/prepare.log" || {
	cat "$home/prepare.log" >&2
	exit 1
}
cat "$home/prepared"
shard_bytes=$(du -sB1 "$home/data/shards" | cut -f1)
cp -r "$home/data/shards" "$home/shards"
model_bytes=$(stat -c %s "$home/data/models/00000003.kindred")

"$bin/kindred-ceiling" --listen 127.0.0.1:0 --answer-bytes 330 >"$home/ceiling.ports" &
ceiling=$!
serve "$home/data"

say "Recommend, and an empty C-core handler with messages of the same size, in turn"
for ((round = 1; round <= rounds; round++)); do
	bench alone.$round recommend --in-flight 1 --connections 1 "${short[@]}"
	bench_ceiling alone_ceiling.$round recommend --in-flight 1 --connections 1 "${short[@]}"
	bench unary.$round recommend --in-flight 16 "${short[@]}"
	bench_ceiling unary_ceiling.$round recommend --in-flight 16 "${short[@]}"
done

say "with 64 in flight as a closed loop; the highest rate, as an open loop holds it with a p99 of 10 ms; half of it, the empty handler at the same rate, and half of the rate with 16 in flight, in turn"
bench wide recommend --in-flight 64 "${short[@]}"
bench highest recommend --find-max 10 --rate "$(of wide answers_per_s)" --seconds "$(calculate 's / 2' s=$seconds)" --warmup 0.5
highest=$(of highest max_rate)
half=$(calculate 'r / 2' r="$highest")
half_of_16=$(calculate 'r / 2' r="$(median unary answers_per_s)")
for ((round = 1; round <= rounds; round++)); do
	bench half.$round recommend --rate "$half" "${short[@]}" --plot "$home/half.$round.svg"
	bench_ceiling half_ceiling.$round recommend --rate "$half" "${short[@]}"
	bench half_of_16.$round recommend --rate "$half_of_16" "${short[@]}"
done

# kernel NAME OPTION..: kindred-kernel with JSON to NAME.json, and a line about it.
kernel() {
	local name=$1
	shift
	"$bin/kindred-kernel" --data "$home/data" --users $users --seconds $seconds --json "$@" >"$home/$name.json"
	printf '%-18s %11.0f/s  %.2f us of CPU each\n' "$name" "$(of "$name" users_per_s)" "$(of "$name" cpu_us_per_user)"
}
say "campaign (RecommendMany, RecommendAudience), and kindred-kernel on all cores, ours and a plain loop, in turn"
for ((round = 1; round <= rounds; round++)); do
	bench campaign.$round many --streams 2 --in-flight 4 --batch 256 "${short[@]}"
	kernel kernel.$round
	bench audience.$round audience "${short[@]}"
	bench campaign_1000.$round many --streams 2 --in-flight 4 --batch 1000 "${short[@]}"
	bench campaign_list.$round many --streams 2 --in-flight 4 --batch 1000 --in-order "${short[@]}"
	kernel plain.$round --plain
done

say "ingest: the stream in batches of 1000, users at random; a lone event; one flush of the same disk"
bench ingest ingest --streams 2 --in-flight 4 --batch 1000 "${short[@]}"
bench lone ingest-unary --in-flight 1 --connections 1 "${short[@]}"
"$bin/kindred-flush" "$home/data" --seconds 1 | tee "$home/flush.json"

say "$((swap_rounds * swaps)) swaps between two generations, with Recommend at 70% of the highest rate"
"$bin/kindred" model activate 2 >/dev/null # so that both are mapped by the workers, which keep them as long as they are kept
"$bin/kindred" model activate 3 >/dev/null
for ((round = 1; round <= swap_rounds; round++)); do
	bench swap.$round recommend --rate "$(calculate '0.7 * r' r="$highest")" --warmup 2 --swap 2,3 --swaps $swaps "${swap_plan[@]}" --plot "$home/swap.$round.svg"
	printf '%s swaps, the longest %s ms; p99.9 within five seconds of one %s ms, else %s ms\n' "$(of swap.$round swaps)" \
		"$(of swap.$round swap_longest_ms)" "$(of swap.$round swap_p999_ms)" "$(of swap.$round rest_p999_ms)"
done

# A server on the shards as they were prepared: what was ingested since has made the histories longer, and longer ones
# are dearer to write. Copies lie in the page cache in large pieces, as no shard that a worker has written does, so
# they are given back to the disk and read by an export.
fresh() {
	local shard
	stop_server
	rm -rf "$home/data/shards"
	cp -r "$home/shards" "$home/data/shards"
	for shard in "$home"/data/shards/*/data.mdb; do
		dd of="$shard" oflag=nocache conv=notrunc,fdatasync count=0 status=none
	done
	serve "$home/data"
	"$bin/kindred" export bench --quiet >/dev/null
}
# beside_ingest NAME RATE: Recommends at that rate, alone (NAME_alone) and beside half of the most that could be
# ingested, in messages of 256.
beside_ingest() {
	local name=$1 rate=$2 round ingest
	for ((round = 1; round <= rounds; round++)); do
		fresh
		bench "${name}_alone.$round" recommend --rate "$rate" "${short[@]}"
		"$bin/kindred-bench" ingest --rate "$(calculate 'r / 512' r="$(of ingest units_per_s)")" --batch 256 --streams 2 --seed $((100 + round)) \
			--users $users --items $items --seconds $((seconds + 1)) --warmup 0 --json >"$home/${name}_ingest.$round.json" &
		ingest=$!
		repeat=0 # the ingest is one of the others
		bench "$name.$round" recommend --rate "$rate" "${short[@]}"
		repeat=1
		wait $ingest || true
	done
}
say "2,000 Recommends/s, and a quarter of the highest rate, alone and beside ingest at half of its rate, in turn"
beside_ingest beside 2000
beside_ingest beside_quarter "$(calculate 'r / 4' r="$highest")"

# figure NAME VALUE [TARGET]: a line of the table, and of the JSON. TARGET: "<= 2" or ">= 40000".
json= missed=0
figure() {
	local verdict=
	if [ -n "${3:-}" ]; then
		verdict=missed
		[ "$(calculate "(v $3)" v="$2")" = 1 ] && verdict=ok || missed=$((missed + 1))
	fi
	printf '%-34s %14s   %-14s %s\n' "$1" "$2" "${3:-}" "$verdict"
	json+="${json:+,}\"$1\":$2"
}

say "figures (with all of server, workers and generator on the same $(nproc) cores)"
printf '%-34s %14s   %-14s\n' figure value target
flush_ms=$(of flush p50_ms)
in_swaps() {
	local rounds=$swap_rounds
	"$@"
}
swap_failed=$(($(in_swaps total swap error_count) + $(in_swaps total swap swaps_failed)))
figure unary_cpu_ratio "$(ratio unary cpu_us_per_unit unary_ceiling cpu_us_per_unit)" '<= 2.0'
figure unary_cpu_us "$(median unary cpu_us_per_unit)"
figure unary_ceiling_cpu_us "$(median unary_ceiling cpu_us_per_unit)"
figure unary_rate "$(median unary answers_per_s)" '>= 40000'
figure unary_rate_ratio "$(ratio unary answers_per_s unary_ceiling answers_per_s)"
figure unary_p50_ms "$(median unary p50_ms)"
figure unary_p99_ms "$(median unary p99_ms)"
figure wide_rate "$(of wide answers_per_s)"
figure highest_rate "$highest"
figure half_p50_ms "$(median half p50_ms)"
figure half_p99_ms "$(median half p99_ms)" '<= 1'
figure half_ceiling_p99_ms "$(median half_ceiling p99_ms)"
figure half_of_16_p99_ms "$(median half_of_16 p99_ms)" '<= 1'
figure alone_p50_ms "$(median alone p50_ms)"
figure alone_p50_ratio "$(ratio alone p50_ms alone_ceiling p50_ms)" '<= 1.6'
figure campaign_users_per_s "$(median campaign units_per_s)" '>= 100000'
figure campaign_kernel_ratio "$(ratio campaign units_per_s kernel users_per_s)" '>= 0.6'
figure campaign_plain_ratio "$(ratio campaign units_per_s plain users_per_s)"
figure campaign_1000_users_per_s "$(median campaign_1000 units_per_s)"
figure campaign_1000_kernel_ratio "$(ratio campaign_1000 units_per_s kernel users_per_s)" '>= 0.6'
figure campaign_list_users_per_s "$(median campaign_list units_per_s)"
figure campaign_list_kernel_ratio "$(ratio campaign_list units_per_s kernel users_per_s)" '>= 0.6'
figure campaign_cpu_us "$(median campaign cpu_us_per_unit)"
figure campaign_generator_cpu_us "$(median campaign generator_us_per_unit)"
figure audience_users_per_s "$(median audience units_per_s)" '>= 100000'
figure audience_kernel_ratio "$(ratio audience units_per_s kernel users_per_s)" '>= 0.6'
figure audience_plain_ratio "$(ratio audience units_per_s plain users_per_s)"
figure audience_cpu_us "$(median audience cpu_us_per_unit)"
figure kernel_cpu_us "$(median kernel cpu_us_per_user)"
figure plain_cpu_us "$(median plain cpu_us_per_user)"
figure ingest_events_per_s "$(of ingest units_per_s)" '>= 100000'
figure ingest_cpu_us "$(of ingest cpu_us_per_unit)"
figure disk_flush_ms "$flush_ms"
figure ingest_lone_p50_ms "$(of lone p50_ms)" "<= $(calculate 'f + 1' f="$flush_ms")"
figure recommend_while_ingest_p99_ratio "$(ratio beside p99_ms beside_alone p99_ms)" '<= 2'
figure recommend_while_ingest_p99_ms "$(median beside p99_ms)"
figure while_ingest_events_per_s "$(median beside_ingest units_per_s)"
figure quarter_while_ingest_p99_ratio "$(ratio beside_quarter p99_ms beside_quarter_alone p99_ms)"
figure swap_failed "$swap_failed" '<= 0'
figure swap_p999_ratio "$(in_swaps ratio swap swap_p999_ms swap rest_p999_ms)" '<= 2'
figure swap_rss_ratio "$(calculate 'a / b' a="$(of swap.$swap_rounds stop_bytes)" b="$(of swap.1 start_bytes)")" '<= 1.05'
figure swap_longest_ms "$(in_swaps largest swap swap_longest_ms)"
figure build_events_per_s "$(prepared build_events_per_s)"
figure import_events_per_s "$(prepared import_events_per_s)"
figure import_items_per_s "$(prepared import_items_per_s)"
figure bytes_per_user "$(calculate 'b / n' b="$shard_bytes" n=$users)"
figure bytes_per_item "$(calculate 'b / n' b="$model_bytes" n=$items)"
figure resident_bytes "$(of swap.$swap_rounds stop_bytes)"
[ $disturbed = 0 ] || echo "$disturbed runs lost more than a seventh of the cores to others, three times: this machine was not quiet"
printf '%s missed. bytes_per_user: of the shards on disk, before the load. bytes_per_item: of the model file.\n' $missed
[ -z "$keep" ] || echo "all of it is in $home"
echo "{$json}"
