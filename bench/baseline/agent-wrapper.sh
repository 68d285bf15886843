#!/usr/bin/env bash
# One agent of the bash baseline: waits for its task in its inbox, runs the command, answers whoever sent the task.
# usage: agent-wrapper.sh ID COMMAND [ARG…]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/message-bus.sh"

id=$1
shift
inbox="$MESSAGE_BASE_DIR/$id/inbox"
until (($(count_messages "$id") > 0)); do sleep 0.1; done

for file in "$inbox"/*.json; do
  # A coordinator's inbox also takes its workers' results: they stay, to be counted.
  [[ $(message_field "$file" type) == task ]] || continue
  from=$(message_field "$file" from)
  status=0
  "$@" </dev/null || status=$?
  send_message "$id" "$from" result "{\"exit_code\": $status}" >/dev/null
  rm -f "$file"
done
