# shellcheck shell=bash
# ./run eval SET MODE [--json] [OPTION..]: sourced by ./run, whose functions it uses.
evaluate_set() {
	local one argument=()
	if [ $# -lt 2 ] && [ "${1:-}" != --help ]; then
		say "./run eval SET MODE [--json] [--data DIR] [--set NAME=VALUE].. [--slice FROM,TO] [--plot FILE.svg] [--report FILE.json]"
		say "SET:  $(cd bench/eval/sets && printf '%s ' *.map | sed 's/\.map//g')"
		say "MODE: sessnew session user llo (bench/README.md says what they are)"
		exit 2
	fi
	build kindred-eval
	# Files are named from where ./run was called; ./run itself works at the top.
	local previous=''
	for one in "$@"; do
		case $previous in
		--data | -d | --plot | --report | --maps) [[ $one = /* ]] || one=$called_from/$one ;;
		esac
		argument+=("$one")
		previous=$one
	done
	"$bin/kindred-eval" "${argument[@]}"
}
