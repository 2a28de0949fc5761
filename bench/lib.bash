# What the measuring scripts share. Sourced, not run; the caller has set bin, the folder of the programs.
# serve DIR [OPTION..] starts a server on a data directory, waits until it answers, and sets KINDRED_SERVER;
# stop_server ends it.

server_pid=

serve() {
	local dir=$1 ports=$1.ports
	shift
	rm -f "$ports"
	"$bin/kindred-server" --data "$dir" --listen 127.0.0.1:0 --admin-listen '' --port-file "$ports" \
		--build-every-minutes 0 --build-tune-seconds 0 --log-level warning "$@" 2>>"$dir.log" &
	server_pid=$!
	until [ -s "$ports" ]; do
		kill -0 $server_pid 2>/dev/null || {
			cat "$dir.log" >&2
			exit 1
		}
		sleep 0.05
	done
	KINDRED_SERVER=127.0.0.1:$(sed -n 's/^grpc //p' "$ports")
	export KINDRED_SERVER
}

stop_server() {
	[ -n "$server_pid" ] || return 0
	kill "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
	server_pid=
}

# The value of a top-level number or string of one JSON line on stdin.
field() { sed -E "s/.*[{,]\"$1\":\"?([^,\"}]*).*/\1/"; }

# calculate 'a / b' NAME=VALUE..: awk's arithmetic.
calculate() {
	local expression=$1 assignment arguments=()
	shift
	for assignment in "$@"; do arguments+=(-v "$assignment"); done
	awk "${arguments[@]}" "BEGIN { printf \"%.6g\", $expression }" </dev/null
}

now() { date +%s.%N; }
