#!/usr/bin/env bash
# Installs @grpc/grpc-js beside the build (not in the source tree) and runs node_test.js. usage: node_test.sh HOST:PORT
# Exit code 77: npm's registry cannot be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
modules=${TMPDIR:-/tmp}/kindred-interop-node-$(id -u)
mkdir -p "$modules"
cp "$here/package.json" "$modules/"
if [ ! -d "$modules/node_modules/@grpc/proto-loader" ]; then
	npm install --prefix "$modules" --no-audit --no-fund --loglevel error --fetch-retries 1 --fetch-timeout 20000 || {
		npm ping --fetch-retries 0 --fetch-timeout 10000 && exit 1
		exit 77
	}
fi
NODE_PATH="$modules/node_modules" exec node "$here/node_test.js" "$1"
