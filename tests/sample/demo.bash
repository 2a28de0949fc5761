# shellcheck shell=bash
# ./run demo: the real processes on the bundled sample, or on anybody's files. Sourced by ./run, whose functions it uses.

# shellcheck source=../../run
: "${top:?}" "${bin:?}" "${called_from:?}"
sample=$top/tests/sample

demo() {
	local keep='' catalog='' events='' layout=()
	while [ $# -gt 0 ]; do
		case $1 in
		--keep) keep=1 ;;
		--catalog | --events | --layout)
			[ $# -gt 1 ] || die "$1 needs a value. ./run help shows how."
			case $1 in
			--catalog) catalog=$(absolute "$2") ;;
			--events) events=$(absolute "$2") ;;
			--layout) layout=(--layout "$2") ;;
			esac
			shift
			;;
		*) die "./run demo does not know '$1'. ./run help shows what it does." ;;
		esac
		shift
	done
	[ -z "$catalog$events" ] || [ -n "$catalog" -a -n "$events" ] ||
		die "--catalog and --events belong together: recommending needs both."
	build kindred kindred-server kindred-worker kindred-builder kindred-sample
	begin
	if [ -n "$catalog" ]; then
		own_files "$catalog" "$events" "${layout[@]}"
	else
		two_stories
	fi
	title "The server now"
	kindred status
	finish "$keep"
}

absolute() {
	local path=$1
	[ "${path:0:1}" = / ] || path=$called_from/$path
	[ -r "$path" ] || die "There is no file '$1' that can be read."
	printf '%s' "$path"
}

# --- the server of the demo ---

begin() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/kindred-demo.XXXXXX")
	server=''
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	title "Starting Kindred"
	say "\$ kindred serve --init --data $work/data"
	"$bin/kindred" serve --init --data "$work/data" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 \
		--port-file "$work/ports" >"$work/server.log" 2>&1 &
	server=$!
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		[ ! -s "$work/ports" ] || break
		kill -0 "$server" 2>/dev/null || break
		sleep 0.05
	done
	if [ ! -s "$work/ports" ]; then
		cat "$work/server.log" >&2
		die "The server did not start."
	fi
	KINDRED_SERVER=127.0.0.1:$(awk '$1 == "grpc" { print $2 }' "$work/ports")
	admin=127.0.0.1:$(awk '$1 == "admin" { print $2 }' "$work/ports")
	export KINDRED_SERVER
	say "gRPC on $KINDRED_SERVER, /healthz and /metrics on $admin"
}

clean_up() {
	local status=$?
	trap - EXIT INT TERM
	if [ -n "$server" ]; then
		kill -TERM "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	if [ $status != 0 ] && [ -s "$work/server.log" ]; then
		tail -n 20 "$work/server.log" >&2
	fi
	rm -rf "$work"
	exit $status
}

finish() {
	local keep=$1
	title "How to go on"
	if [ -n "$keep" ]; then
		trap - EXIT
		disown "$server"
		cat <<-END
			The server stays up: process $server, data in $work/data, log in $work/server.log. Try:

			  export KINDRED_SERVER=$KINDRED_SERVER PATH=$bin:\$PATH
		END
	else
		cat <<-END
			This server ends now, and its data goes. One that stays:

			  export PATH=$bin:\$PATH
			  kindred serve --init --data ./data      # in a second terminal; Ctrl-C drains and ends it
		END
	fi
	cat <<-'END'
		  kindred help
		  kindred catalog import shop tests/sample/shop.csv
		  kindred-sample --shop shop_events.csv
		  kindred events import shop shop_events.csv
		  kindred define wanted-next --catalog shop --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1
		  kindred model build
		  kindred recommend wanted-next john
	END
	if [ -n "$keep" ]; then
		say "  kill $server; rm -r $work      # ends it"
	else
		say "  ./run demo --keep              # this one, but it stays"
	fi
}

# Shows a command and runs it.
kindred() {
	shown kindred "$@"
	"$bin/kindred" "$@"
}

shown() {
	local word text=''
	for word in "$@"; do
		case $word in
		'' | *[!A-Za-z0-9_./:=,%+-]*) text+=" '$word'" ;;
		*) text+=" $word" ;;
		esac
	done
	say "${dim}\$${text//$work\//}${plain}"
}

# --- the sample ---

two_stories() {
	local now
	now=$(date +%s)
	title "A sample: two catalogs, and fourteen months of events of 4,000 invented people"
	"$bin/kindred-sample" --catalogs "$sample" --now "$now" \
		--shop "$work/shop_events.csv" --series "$work/series_events.csv" 2>/dev/null
	cd "$sample"
	kindred catalog import shop shop.csv
	kindred catalog import series series.csv
	kindred define wanted-next --catalog shop --event Purchased=5 --event 'Added to Cart=3' --event Viewed=1 \
		--filter 'in_stock = true AND NOT category = last.category' --exclude Purchased --count 8 --fallback recent
	kindred define watch-next --catalog series --event Watched --filter 'language = last.language' \
		--exclude-seen --count 8 --fallback recent
	cd "$work"
	kindred events import shop shop_events.csv
	kindred events import series series_events.csv
	cd "$top"

	title "Learning: which items are kindred"
	kindred model build
	kindred model list

	title "John put soccer shoes into his cart"
	say "What he gets now. He runs, and trains at home:"
	recommended wanted-next john before
	kindred events add shop --user john --item korva-strike-fg --event 'Added to Cart'
	say "And from now on (* is new):"
	recommended wanted-next john after
	why_john "$now"

	title "Jane has just watched Game of Thrones"
	say "What she gets now. She likes period drama and clever comedy:"
	recommended watch-next jane before
	kindred events add series --user jane --item game-of-thrones --event Watched
	say "And from now on (* is new):"
	recommended watch-next jane after
	why_jane "$now"
}

# recommended DEFINITION USER before|after: the table; after marks the lines of items that were not there before.
recommended() {
	kindred recommend "$1" "$2" | tee "$work/$2.$3" >"$work/$2.table"
	if [ "$3" = before ]; then
		cat "$work/$2.table"
	else
		awk -v bold="$bold" -v plain="$plain" '
			NR == FNR { before[$2] = 1; next }
			$1 ~ /^[0-9]+$/ && !($2 in before) { print bold "*" $0 plain; next }
			{ print " " $0 }' "$work/$2.before" "$work/$2.table"
	fi
}

# The ids of what is new, the best three.
new_items() {
	awk 'NR == FNR { before[$2] = 1; next }
		$1 ~ /^[0-9]+$/ && !($2 in before) && n++ < 3 { print $2 }' "$work/$1.before" "$work/$1.after"
}

name_of() {
	awk -F, -v id="$2" '$1 == id { print $2 }' "$sample/$1.csv"
}

why_john() {
	local now=$1 anchors items carts id here there text=''
	anchors=$(awk -F, '/Soccer Shoes/ { print $1 }' "$sample/shop.csv" | tr '\n' ' ')
	items=$(new_items john | tr '\n' ' ')
	{
		read -r carts
		while read -r id here there; do
			text+="${text:+; }$(name_of shop "$id") in $here% of them (half a year away: $there%)"
		done
	} < <(awk -v anchors="$anchors" -v items="$items" -v today="$(date -u -d "@$now" +%F)" \
		-f "$sample/companions.awk" "$work/shop_events.csv")
	say "Why: the files hold $carts carts with soccer shoes from this time of the year. $text."
}

why_jane() {
	local now=$1 items people id share rise text=''
	items=$(new_items jane | tr '\n' ' ')
	{
		read -r people
		while read -r id share rise; do
			text+="${text:+; }$share% also watched $(name_of series "$id") (watched $rise times as much in the last four weeks as before)"
		done
	} < <(awk -v anchor=game-of-thrones -v items="$items" -v from="$(date -u -d "@$((now - 28 * 86400))" +%F)" \
		-f "$sample/followers.awk" "$work/series_events.csv" "$work/series_events.csv")
	say "Why: $people people of the files watched Game of Thrones. Of them $text."
}
