# shellcheck shell=bash
# ./run demo: the real processes on the bundled sample, or on anybody's files. Sourced by ./run, whose functions
# it uses.

: "${top:?}" "${bin:?}" "${called_from:?}" "${green?}" "${dim?}" "${plain?}"
sample=$top/tests/sample

demo() {
	local keep='' catalog='' events='' reading=()
	while [ $# -gt 0 ]; do
		case $1 in
		-h | --help)
			usage
			return
			;;
		--keep) keep=1 ;;
		--decimal-comma | --thousands=* | --unit=* | --time-format=* | --layout=*) reading+=("$1") ;;
		--catalog | --events | --thousands | --unit | --time-format | --layout)
			[ $# -gt 1 ] || die "$1 needs a value. ./run help shows how."
			case $1 in
			--catalog) catalog=$(readable "$2") || exit 1 ;;
			--events) events=$(readable "$2") || exit 1 ;;
			*) reading+=("$1" "$2") ;;
			esac
			shift
			;;
		*) die "./run demo does not know '$1'. ./run help shows what it does." ;;
		esac
		shift
	done
	if [ -n "$catalog" ] && [ -z "$events" ]; then
		die "--events FILE is missing: --catalog goes with it, recommending needs both."
	fi
	if [ -n "$events" ] && [ -z "$catalog" ]; then
		die "--catalog FILE is missing: --events goes with it, recommending needs both."
	fi
	if [ ${#reading[@]} -gt 0 ] && [ -z "$catalog" ]; then
		die "${reading[0]} says how to read files: --catalog FILE and --events FILE are missing."
	fi
	build kindred kindred-server kindred-worker kindred-builder kindred-sample
	if [ -n "$catalog" ]; then
		# Old events are as good as new ones here, so all are kept.
		begin --retention-days 0 --history-cap 10000
		own_files "$catalog" "$events" "${reading[@]}"
	else
		begin
		two_stories
	fi
	title "The server now"
	kindred status
	finish "$keep"
}

# The absolute path of a file of the caller's.
readable() {
	local path=$1
	[ "${path:0:1}" = / ] || path=$called_from/$path
	if [ ! -f "$path" ] || [ ! -r "$path" ]; then
		die "There is no file '$1' that can be read."
	fi
	printf '%s' "$path"
}

# --- the server of the demo ---

# begin [OPTION..]: builds happen only when asked for, so that every run shows the same.
begin() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/kindred-demo.XXXXXX")
	server=''
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	title "Starting Kindred"
	local options=(--init --data "$work/data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --build-every-minutes 0 "$@")
	shown kindred serve "${options[@]}"
	# in a session of its own: Ctrl-C is for this script, which then ends the server
	setsid "$bin/kindred" serve "${options[@]}" --port-file "$work/ports" >"$work/server.log" 2>&1 &
	server=$!
	local tries
	for ((tries = 0; tries < 400; tries++)); do
		[ ! -s "$work/ports" ] || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	[ -s "$work/ports" ] || die "The server did not start."
	KINDRED_SERVER=127.0.0.1:$(awk '$1 == "grpc" { print $2 }' "$work/ports")
	export KINDRED_SERVER
	say "It serves gRPC on $KINDRED_SERVER, and /healthz, /status and /metrics on" \
		"127.0.0.1:$(awk '$1 == "admin" { print $2 }' "$work/ports")."
}

clean_up() {
	local status=$?
	trap - EXIT INT TERM HUP
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	# 64 to 66 are about the files that were given, not about the server
	if [ $status -ne 0 ] && { [ $status -lt 64 ] || [ $status -gt 66 ]; } && [ $status -lt 129 ] && [ -s "$work/server.log" ]; then
		say "The end of the server's log:" >&2
		tail -n 20 "$work/server.log" >&2
	fi
	rm -rf "$work"
	exit "$status"
}

finish() {
	local keep=$1
	title "How to go on"
	if [ -n "$keep" ]; then
		trap - EXIT INT TERM HUP
		cat <<-END
			The server stays up: process $server, data in $work/data, log in $work/server.log.

			  export KINDRED_SERVER=$KINDRED_SERVER PATH=$bin:\$PATH
			  kindred help
			  kindred status --shards
			  kill $server; rm -r $work     # ends it
		END
		return
	fi
	cat <<-END
		This server ends now, and its data goes. ./run demo --keep leaves it running. One of your own:

		  export PATH=$bin:\$PATH
		  kindred serve --init --data build/data 2>build/serve.log &      # kill %1 drains and ends it
		  kindred-sample --shop build/shop_events.csv
		  kindred catalog import shop tests/sample/shop.csv
		  kindred events import shop build/shop_events.csv
		  kindred define wanted-next --catalog shop --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1
		  kindred model build
		  kindred recommend wanted-next john
		  kindred help
	END
}

# Shows a command, and runs it.
kindred() {
	shown kindred "$@"
	"$bin/kindred" "$@"
}

shown() {
	local word text=''
	for word in "$@"; do
		case $word in
		*\'*) text+=" ${word@Q}" ;;
		'' | *[!A-Za-z0-9_./:=,%+-]*) text+=" '$word'" ;;
		*) text+=" $word" ;;
		esac
	done
	say "$dim\$$text$plain"
}

# recommended DEFINITION USER before|after: the answer; after marks what was not there before.
recommended() {
	local out=$work/$2
	shown kindred recommend "$1" "$2"
	"$bin/kindred" recommend "$1" "$2" >"$out.$3"
	if [ "$3" = before ]; then
		sed 's/^/  /' "$out.before"
	else
		awk -v new="$green" -v plain="$plain" '
			NR == FNR { before[$2] = 1; next }
			$1 ~ /^[0-9]+$/ && !($2 in before) { print new "* " $0 plain; next }
			{ print "  " $0 }' "$out.before" "$out.after"
	fi
}

# The ids of the best three after the event.
best_items() {
	awk '$1 ~ /^[0-9]+$/ && n++ < 3 { printf "%s ", $2 }' "$work/$1.after"
}

# --- the sample ---

two_stories() {
	local now
	now=$(date +%s)
	title "A sample: two catalogs, and thirteen months of events of 4,000 invented people"
	"$bin/kindred-sample" --catalogs "$sample" --now "$now" --shop "$work/shop_events.csv" \
		--series "$work/series_events.csv" 2>/dev/null
	cd "$work" || exit
	cp "$sample/shop.csv" "$sample/series.csv" .
	kindred catalog import shop shop.csv --quiet
	kindred catalog import series series.csv --quiet
	kindred events import shop shop_events.csv
	kindred events import series series_events.csv
	cd "$top" || exit
	say ''
	say "What is recommended, and by which rules. What somebody did in the last 30 days counts:"
	kindred define wanted-next --catalog shop --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1 \
		--lookback 30d --filter 'in_stock = true AND NOT category = last.category' --exclude Purchased --count 8
	kindred define watch-next --catalog series --event Watched \
		--lookback 30d --filter 'NOT language != last.language' --exclude Watched --count 8

	title "Learning which items are kindred"
	kindred model build
	kindred model list

	title "John puts soccer shoes into his cart"
	say "John runs, and trains at home. What he gets before:"
	recommended wanted-next john before
	kindred events add shop --user john --item korva-strike-fg --event 'Added to Cart'
	say "And right after (* is new):"
	recommended wanted-next john after
	why_john "$now"
	say "And what a score is made of, in whole numbers:"
	kindred recommend wanted-next john --count 3 --explain

	title "Jane has just watched Game of Thrones"
	say "Jane likes period drama and clever comedy. What she gets before:"
	recommended watch-next jane before
	kindred events add series --user jane --item game-of-thrones --event Watched
	say "And right after (* is new):"
	recommended watch-next jane after
	why_jane "$now"
	say "Her definition for this one call, with a filter of its own:"
	kindred recommend watch-next jane --count 3 --filter 'year < 2015' --explain
}

name_of() {
	awk -F, -v id="$2" '$1 == id { print $2 }' "$sample/$1.csv"
}

why_john() {
	local now=$1 anchors carts id here there
	anchors=$(awk -F, '/Soccer Shoes/ { printf "%s ", $1 }' "$sample/shop.csv")
	{
		read -r carts
		say "Why: it goes with the shoes at this time of the year. Of the $carts carts with soccer shoes from these weeks"
		while read -r id here there; do
			say "  $here% held $(name_of shop "$id") ($there% of those from half a year away)"
		done
	} < <(awk -v anchors="$anchors" -v items="$(best_items john)" -v today="$(date -u -d "@$now" +%F)" \
		-f "$sample/companions.awk" "$work/shop_events.csv")
}

why_jane() {
	local now=$1 people id share rise
	{
		read -r people
		say "Why: they have the same audience, and some are the talk of these weeks. Of the $people who watched Game of Thrones"
		while read -r id share rise; do
			say "  $share% watched $(name_of series "$id") (everybody, in the last four weeks: $rise times as much as before)"
		done
	} < <(awk -v anchor=game-of-thrones -v items="$(best_items jane)" \
		-v from="$(date -u -d "@$((now - 28 * 86400))" +%F)" \
		-f "$sample/followers.awk" "$work/series_events.csv" "$work/series_events.csv")
}

# --- anybody's files ---

# Ends with that status. The demo has no options for columns.
columns_help() {
	[ "$1" != 64 ] || say "The demo goes by the usual names of columns, such as id and name; user, item, event and time. Change the first line of the file," \
		"or start a server and name the columns by options: kindred catalog import --help, kindred events import --help." >&2
	exit "$1"
}

own_files() {
	local catalog=$1 events=$2 type user users=() rules=()
	shift 2
	title "Your files"
	kindred catalog import items "$catalog" "$@" || columns_help $?
	shown kindred events import items "$events" "$@"
	"$bin/kindred" events import items "$events" "$@" --json >"$work/import.json" || columns_help $?
	awk '/"(rows|accepted|duplicate|refused|skipped|without_user|left_out|seconds)":/ && !/: 0,/ {
		gsub(/[",:]/, ""); gsub(/_/, " ", $1); printf "  %-14s %s\n", $1, $2 }' "$work/import.json"
	mapfile -t users < <(listed some_users)
	[ ${#users[@]} -gt 0 ] || die "No event came out of that file, so there is nobody to recommend to."

	say ''
	say "The rules: every kind of event that was found counts, a purchase five times, a cart three times."
	while read -r type; do
		rules+=(--event "$type=$(weight_of "$type")")
	done < <(listed types | awk 'tolower($0) !~ /return|refund|cancel|adjust|dislike|remove/' | head -n 16)
	kindred define next --catalog items "${rules[@]}" --exclude-seen --count 5

	title "Learning which items are kindred"
	kindred model build
	kindred model list

	title "Ten users"
	kindred recommend next "${users[@]}"
	one_event "${users[0]}" "${users[${#users[@]} - 1]}"
}

# The names of an object, or the texts of an array, in the answer of the import: one a line.
listed() {
	awk -v key="$1" '
		$0 ~ "^  \"" key "\": [[{]" { inside = 1; next }
		inside && /^  []}]/ { exit }
		inside { sub(/^ *"/, ""); sub(/"(: [0-9]+)?,?$/, ""); gsub(/\\"/, "\""); gsub(/\\\\/, "\\"); print }
	' "$work/import.json"
}

weight_of() {
	case ${1,,} in
	*purchas* | *buy* | *order* | *sale* | *transaction*) printf 5 ;;
	*cart* | *basket*) printf 3 ;;
	*) printf 1 ;;
	esac
}

# One user does something: takes what another one would get and this one would not.
one_event() {
	local user=$1 other=$2 item type time
	title "One more event"
	say "What $user gets before:"
	recommended next "$user" before
	item=$("$bin/kindred" recommend next "$other" --count 100 --json | grep -o '"item_id":"[^"\\]*"' | cut -d '"' -f 4 |
		awk 'NR == FNR { before[$2] = 1; next } !($1 in before) && !found++' "$work/$user.before" -)
	[ -n "$item" ] || return 0
	"$bin/kindred" events list "$user" --limit 1 --json >"$work/last.json"
	type=$(listed types | head -n 1)
	# a second after the user's newest event: old data stays in its own time
	time=$(sed -n -E 's/.*"time": "([^"]*)".*/\1/p' "$work/last.json")
	time=$(date -u -d "$time + 1 second" +%FT%TZ)
	kindred events add items --user "$user" --item "$item" --event "$type" --time "$time"
	say "And right after (* is new):"
	recommended next "$user" after
}
