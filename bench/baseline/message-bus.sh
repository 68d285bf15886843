#!/usr/bin/env bash
# The bash MVP's message bus, rebuilt from its description for comparison. Its mechanism is kept, its weaknesses too:
#
#   <base>/<agent>/inbox/<msg_id>.json   one file per message; <base>/<agent>/outbox/ keeps the sender's copy
#   msg_id = seconds + a random number below 1000: two messages that draw the same one in one second share a file name,
#            and the rename overwrites the first (this is how it loses messages)
#   sequence numbers in a file per pair under flock; delivery by temporary file + rename under the inbox's flock
#   a full inbox (MAX_INBOX_SIZE) deletes its oldest message
#   `sync` after every file it writes
#
# What is left out, because it only costs time: its log line per step, and every fixed sleep.
set -euo pipefail

MESSAGE_BASE_DIR="${MESSAGE_BASE_DIR:-/dev/shm/cfn-baseline/messages}"
MAX_INBOX_SIZE="${MAX_INBOX_SIZE:-1000}"

init_agent() {
  mkdir -p "$MESSAGE_BASE_DIR/$1/inbox" "$MESSAGE_BASE_DIR/$1/outbox" "$MESSAGE_BASE_DIR/$1/sequences"
}

# count_messages AGENT: how many files lie in its inbox
count_messages() {
  find "$MESSAGE_BASE_DIR/$1/inbox" -maxdepth 1 -name '*.json' -type f | wc -l
}

# next_sequence FROM TO: counts per pair, from 1
next_sequence() {
  local file="$MESSAGE_BASE_DIR/$1/sequences/$2" last=0
  {
    flock -x -w 10 200
    [[ -f "$file" ]] && last=$(cat "$file")
    echo $((last + 1)) >"$file"
    sync
  } 200>"$file.lock"
  echo $((last + 1))
}

# send_message FROM TO TYPE PAYLOAD: prints the message id
send_message() {
  local from=$1 to=$2 type=$3 payload=$4
  local inbox="$MESSAGE_BASE_DIR/$to/inbox" timestamp id sequence oldest
  [[ -d "$inbox" ]] || { echo "no such recipient: $to" >&2; return 1; }
  if (($(count_messages "$to") >= MAX_INBOX_SIZE)); then
    oldest=$(find "$inbox" -maxdepth 1 -name '*.json' -type f -printf '%T@ %p\n' | sort -n | head -n 1 | cut -d' ' -f2-)
    [[ -z "$oldest" ]] || rm -f "$oldest"
  fi
  timestamp=$(date +%s)
  id="msg-$timestamp-$(printf '%03d' $((RANDOM % 1000)))"
  sequence=$(next_sequence "$from" "$to")
  {
    flock -x 201
    cat >"$inbox/$id.json.tmp" <<JSON
{
  "msg_id": "$id",
  "from": "$from",
  "to": "$to",
  "timestamp": $timestamp,
  "sequence": $sequence,
  "type": "$type",
  "payload": $payload
}
JSON
    sync
    mv "$inbox/$id.json.tmp" "$inbox/$id.json"
    sync
  } 201>"$inbox/.lock"
  if [[ -d "$MESSAGE_BASE_DIR/$from/outbox" ]]; then
    # The recipient may have taken it already.
    cp "$inbox/$id.json" "$MESSAGE_BASE_DIR/$from/outbox/$id.json" 2>/dev/null || true
    sync
  fi
  echo "$id"
}

# message_field FILE NAME: one field of a message
message_field() {
  sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\).*/\1/p" "$1"
}

# receive_messages AGENT: a JSON array, ordered by timestamp and sequence; the messages stay
receive_messages() {
  local inbox="$MESSAGE_BASE_DIR/$1/inbox" file first=1
  [[ -d "$inbox" ]] || { echo "no such agent: $1" >&2; return 1; }
  echo "["
  while read -r _ _ file; do
    ((first)) || echo ","
    first=0
    cat "$file"
  done < <(
    for file in "$inbox"/*.json; do
      [[ -f "$file" ]] || continue
      echo "$(message_field "$file" timestamp) $(message_field "$file" sequence) $file"
    done | sort -k1,1n -k2,2n
  )
  echo "]"
}

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  command=${1:-}
  shift || true
  case "$command" in
    init) init_agent "$@" ;;
    send) send_message "$@" ;;
    receive) receive_messages "$@" ;;
    count) count_messages "$@" ;;
    *)
      echo "usage: message-bus.sh init ID | send FROM TO TYPE PAYLOAD | receive ID | count ID" >&2
      exit 64
      ;;
  esac
fi
