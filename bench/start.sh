#!/bin/sh
# What a start costs: compiled programs that do nothing, built with the flags of dist/cfn, and what some imports add.
# This is why the message commands import neither node: modules nor bun:ffi (ARCHITECTURE.md).
#
#   bench/start.sh OUT [ROUNDS [RUNS]]     writes OUT/start.<round>.json, hyperfine's own format
set -eu
cd "$(dirname "$0")/.."
out=$1 rounds=${2:-5} runs=${3:-40}
cfn=${CFN_BENCH_BINARY:-dist/cfn}
work=dist/bench
mkdir -p "$out" "$work"
PATH="$PWD/node_modules/.bin:$PATH" # the pinned bun

# build NAME SOURCE: a compiled program, rebuilt only if its source changed
build() {
  [ -x "$work/$1" ] && [ "$(cat "$work/$1.ts" 2>/dev/null)" = "$2" ] && return 0
  printf '%s\n' "$2" >"$work/$1.ts"
  bun build --compile --minify --bytecode --format=esm --splitting --no-compile-autoload-dotenv \
    --no-compile-autoload-bunfig "$work/$1.ts" --outfile "$work/$1" >/dev/null
}
build hello 'console.log("hello");'
build hello-ffi 'import { dlopen } from "bun:ffi"; if (dlopen) console.log("hello");'
build hello-node 'import { existsSync } from "node:fs"; if (existsSync("/")) console.log("hello");'

round=0
while [ "$round" -lt "$rounds" ]; do
  hyperfine -N --warmup 2 --runs "$runs" --style none --export-json "$out/start.$round.json" \
    -n hello "$work/hello" \
    -n cfn-version "$cfn --version" \
    -n hello-ffi "$work/hello-ffi" \
    -n hello-node "$work/hello-node" \
    -n true true >/dev/null
  round=$((round + 1))
done
