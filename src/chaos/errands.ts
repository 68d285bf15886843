/** What the agents of the swarm do: a task list and the program that they are. Pure. */
import { limits } from "../limits.ts";
import { dice } from "./dice.ts";

/** A life's length, seconds. */
const LIFE = [0.2, 3] as const;
/** Agents that talk start a `cfn send` each: so many in a second, that a machine of two cores still has time for the rest. */
const TALKS_PER_SECOND = 25;
const LETTERS_MOST = 5;
const LEAVES_ONE_IN = 12;
const IGNORES_ONE_IN = 15;

/**
 * The agent, for `sh`: it writes down that it started, sends some letters through `cfn send`, may leave a process in a session of
 * its own behind, may ignore SIGTERM, lives its time, prints its result and writes down that it ended.
 *
 * Its start time names it together with its pid; `read` and `printf` start no process, so the pid and /proc/self are its own.
 */
export const agentScript = `life=$1 letters=$2 to=$3 leaves=$4 ignores=$5
read -r stat < /proc/self/stat
set -- \${stat##*) }
ticks=\${20}
log=$CFN_CHAOS_DIR/agents
[ "$ignores" = 1 ] && trap '' TERM
printf '\\nstart %s %s %s %s %s ;\\n' "$CFN_TASK_ID" "$CFN_ATTEMPT" $$ "$ticks" "$CFN_AGENT_ID" >> "$log"
if [ "$letters" -gt 0 ]; then
  from=$CFN_TASK_ID-$$-$ticks
  printf '\\ntry %s 1 %s %s ;\\n' "$from" "$to" "$letters" >> "$log"
  n=0
  while [ $n -lt "$letters" ]; do
    n=$((n + 1))
    printf '{"to":"%s","type":"letter","payload":{"g":1,"n":%s,"b":0,"f":""}}\\n' "$to" $n
  done | cfn send --bus "$CFN_CHAOS_LEDGER" --from "$from" --batch - --json \\
    >> "$CFN_CHAOS_DIR/accepted" 2>> "$CFN_CHAOS_DIR/agents.err"
fi
if [ "$leaves" = 1 ]; then
  if command -v setsid > /dev/null; then setsid sleep 3600 > /dev/null 2>&1 &
  else sleep 3600 > /dev/null 2>&1 & fi
fi
sleep "$life"
echo "result $CFN_TASK_ID $CFN_ATTEMPT $$ $ticks"
printf '\\nend %s %s %s %s ;\\n' "$CFN_TASK_ID" "$CFN_ATTEMPT" $$ "$ticks" >> "$log"
exit 0
`;

export interface ErrandsRequest {
  readonly seed: number;
  readonly agents: number;
  readonly durationMs: number;
  /** Where the agents' letters go. */
  readonly inboxes: readonly string[];
}

/** How many tasks keep so many agents busy for so long. */
export function taskCount({ agents, durationMs }: Pick<ErrandsRequest, "agents" | "durationMs">): number {
  const meanMs = ((LIFE[0] + LIFE[1]) / 2) * 1000;
  return Math.min(limits.chaosTasksMost, Math.max(agents, Math.ceil((agents * durationMs) / meanMs)));
}

export const taskName = (seq: number): string => `t${seq}`;

/** The task list, JSONL: `script` is the file that holds `agentScript`. */
export function taskList(request: ErrandsRequest, script: string): string {
  const { seed, agents, durationMs, inboxes } = request;
  const chance = dice(seed, "errands");
  const startsPerSecond = (agents / (LIFE[0] + LIFE[1])) * 2;
  const talks = Math.min(0.5, TALKS_PER_SECOND / startsPerSecond);
  const count = taskCount({ agents, durationMs });
  let text = "";
  for (let seq = 1; seq <= count; seq++) {
    const life = chance.between(...LIFE).toFixed(2);
    const letters = chance.next() < talks ? 1 + chance.below(LETTERS_MOST) : 0;
    const to = inboxes[chance.below(inboxes.length)] as string;
    const leaves = chance.below(LEAVES_ONE_IN) === 0 ? "1" : "0";
    const ignores = chance.below(IGNORES_ONE_IN) === 0 ? "1" : "0";
    text += `${JSON.stringify({ id: taskName(seq), run: ["sh", script, life, String(letters), to, leaves, ignores] })}\n`;
  }
  return text;
}
