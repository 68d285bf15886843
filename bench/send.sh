#!/bin/sh
# One message as one process: `cfn send` against a compiled hello world and against the bash baseline's `send`.
#
#   bench/send.sh OUT [ROUNDS [RUNS]]      writes OUT/send.<round>.json, hyperfine's own format
#
# Needs CFN_MESSAGE_BASE_DIR: a directory of this run's own. Rounds alternate, and between two rounds the inbox is read:
# it takes 1000 messages.
set -eu
cd "$(dirname "$0")/.."
out=$1 rounds=${2:-5} runs=${3:-40}
cfn=${CFN_BENCH_BINARY:-dist/cfn}
: "${CFN_MESSAGE_BASE_DIR:?a directory of this run\'s own}"
[ "$runs" -le 900 ] || { echo "send.sh: $runs runs do not fit an inbox of 1000; at most 900" >&2; exit 64; }
mkdir -p "$out"
bench/start.sh "$out" 0 # builds hello

export MESSAGE_BASE_DIR="$CFN_MESSAGE_BASE_DIR-bash"
bench/baseline/message-bus.sh init alice
bench/baseline/message-bus.sh init sink

"$cfn" agent sink -- sleep 600 &
agent=$!
end_run() {
  kill "$agent" 2>/dev/null || true
  wait "$agent" 2>/dev/null || true
  rm -rf "$MESSAGE_BASE_DIR"
}
trap end_run EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tries=0
until "$cfn" agents 2>/dev/null | grep -q sink; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "send.sh: the agent 'sink' does not appear" >&2; exit 1; }
  sleep 0.05
done

sent=0 received=0 round=0
while [ "$round" -lt "$rounds" ]; do
  hyperfine -N --warmup 2 --runs "$runs" --style none --export-json "$out/send.$round.json" \
    -n hello dist/bench/hello \
    -n cfn-send "$cfn send sink --from alice --text hello" \
    -n baseline-send "bench/baseline/message-bus.sh send alice sink task {}" >/dev/null
  sent=$((sent + runs + 2))
  received=$((received + $("$cfn" recv sink --max 1000 | wc -l)))
  rm -f "$MESSAGE_BASE_DIR/sink/inbox/"*.json
  round=$((round + 1))
done
printf '{"sent":%d,"received":%d}\n' "$sent" "$received" >"$out/send.count.json"
