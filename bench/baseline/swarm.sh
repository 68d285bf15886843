#!/usr/bin/env bash
# A whole run of the bash baseline: one process per agent, a task message to each, a result message from each.
#
#   swarm.sh flat WORKERS COMMAND [ARG…]
#   swarm.sh hybrid WORKERS COMMAND [ARG…]        COORDINATORS=7, teams of equal size
#
# As in the MVP's own test the driver sends every task, then starts every agent, then counts the results that lie in the
# inboxes of those who wait for them. DISPATCH=teams lets the coordinators hand out their teams' tasks at the same time
# instead, which the MVP did not do. Prints one JSON line: coordination time (first task sent to last agent ended),
# messages expected and delivered.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/message-bus.sh"

topology=$1 workers=$2
shift 2
coordinators=${COORDINATORS:-7}
dispatch=${DISPATCH:-driver}
MESSAGE_BASE_DIR="${BASELINE_DIR:-/dev/shm}/cfn-baseline-$$"
export MESSAGE_BASE_DIR
agents=()

end_run() {
  trap - EXIT
  local pid
  # Only what this script started: its own children, by number.
  for pid in "${agents[@]}"; do kill -0 "$pid" 2>/dev/null && kill -KILL "$pid" 2>/dev/null; done || true
  wait 2>/dev/null || true
  rm -rf "$MESSAGE_BASE_DIR"
}
trap end_run EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

leaders=(master)
if [[ "$topology" == hybrid ]]; then
  leaders=()
  for ((c = 1; c <= coordinators; c++)); do leaders+=("coordinator-$c"); done
elif [[ "$topology" != flat ]]; then
  echo "topology is flat or hybrid, not '$topology'" >&2
  exit 64
fi
leader_of() { echo "${leaders[$((($1 - 1) % ${#leaders[@]}))]}"; }

init_agent master
[[ "$topology" == flat ]] || for leader in "${leaders[@]}"; do init_agent "$leader"; done
for ((w = 1; w <= workers; w++)); do init_agent "worker-$w"; done

start=$EPOCHREALTIME
if [[ "$topology" == hybrid ]]; then
  for leader in "${leaders[@]}"; do send_message master "$leader" task '{"team": true}' >/dev/null; done
fi
# hand_out FIRST STEP: tasks for the workers FIRST, FIRST+STEP, …
hand_out() {
  local w
  for ((w = $1; w <= workers; w += $2)); do
    send_message "$(leader_of "$w")" "worker-$w" task "{\"id\": $w}" >/dev/null
  done
}
if [[ "$dispatch" == teams ]]; then
  for ((c = 1; c <= ${#leaders[@]}; c++)); do hand_out "$c" "${#leaders[@]}" & agents+=($!); done
  wait
  agents=()
else
  hand_out 1 1
fi

if [[ "$topology" == hybrid ]]; then
  for leader in "${leaders[@]}"; do
    "$here/agent-wrapper.sh" "$leader" true >/dev/null 2>&1 &
    agents+=($!)
  done
fi
for ((w = 1; w <= workers; w++)); do
  "$here/agent-wrapper.sh" "worker-$w" "$@" >/dev/null 2>&1 &
  agents+=($!)
done
for pid in "${agents[@]}"; do wait "$pid" || true; done
agents=()
end=$EPOCHREALTIME

mesh=0 hierarchical=0 meshExpected=0
if [[ "$topology" == hybrid ]]; then
  meshExpected=$coordinators
  mesh=$(count_messages master)
  for leader in "${leaders[@]}"; do hierarchical=$((hierarchical + $(count_messages "$leader"))); done
else
  hierarchical=$(count_messages master)
fi
printf '{"topology":"%s","workers":%d,"coordination_time_ms":%d,"expected":%d,"delivered":%d,"mesh":%d,"hierarchical":%d}\n' \
  "$topology" "$workers" $(((${end/[.,]/} - ${start/[.,]/}) / 1000)) $((workers + meshExpected)) $((mesh + hierarchical)) "$mesh" "$hierarchical"
