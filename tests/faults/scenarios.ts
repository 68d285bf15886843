/** What the victims of the crash-point matrix do on a bus that others use, and which points that passes. */
import type { CrashPoint } from "../../src/os/fault.ts";
import { BIG, LARGE, type Scene } from "./scene.ts";

interface Deed {
  readonly args: readonly string[];
  readonly stdin?: string;
  /** Whose messages its lines tell of; it is a `recv` where there is none. */
  readonly from?: string;
}

export interface Scenario {
  readonly name: string;
  readonly points: readonly CrashPoint[];
  /** At which pass of a point it acts; 1 if absent. */
  readonly pass?: number;
  /** What is on the bus before; the deed. */
  readonly victim: (scene: Scene) => Deed | Promise<Deed>;
  /** Comes to its point only when a bystander has sent it something. */
  readonly waits?: true;
  /** The bus is damaged, and says so at the end. */
  readonly damages?: boolean;
  /** Comes when the victim has ended. */
  readonly after?: (scene: Scene) => void;
}

const FROM = "victim";
const sendTo = (scene: Scene, to: string, bytes?: number): Deed => ({
  args: ["send", to, "--from", FROM, "--payload", "-", "--json", "--timeout", "300ms"],
  stdin: JSON.stringify(scene.note(FROM, to, bytes)),
  from: FROM,
});
const batchTo = (scene: Scene, to: readonly string[], bytes?: number): Deed => ({
  args: ["send", "--batch", "-", "--json", "--timeout", "300ms"],
  stdin: scene.batch(FROM, to, bytes),
  from: FROM,
});
const receive = (max: number): Deed => ({ args: ["recv", "sink", "--max", `${max}`] });
const agent = (id: string): Deed => ({ args: ["agent", id, "--", "true"], from: FROM });

/** When an inbox that is full is read. */
const makesRoom = new WeakMap<Scene, ReturnType<typeof setTimeout>>();

export const scenarios: readonly Scenario[] = [
  {
    name: "the first message of a shard",
    points: [
      "append.checked",
      "append.dirty",
      "append.reserved",
      "record.begun",
      "record.filled",
      "record.uncommitted",
      "record.committed",
      "append.written",
      "append.linked",
      "append.tail_moved",
      "append.counted",
      "append.numbered",
      "append.deep",
      "append.clean",
      "send.unlocked",
      "pairs.created",
      "pairs.allocated",
      "pairs.first",
      "pairs.half",
      "rotate.begun",
      "reserve.created",
      "reserve.allocated",
      "rotate.spare_made",
      "rotate.made",
      "rotate.counted",
      "rotate.mapped",
      "rotate.headed",
      "rotate.listed",
      "rotate.tail_moved",
    ],
    victim: (scene) => sendTo(scene, "sink"),
  },
  {
    name: "a message behind others",
    points: ["record.uncommitted", "append.linked", "append.numbered"],
    victim: (scene) => {
      scene.send("early", "sink", 40, 3);
      return sendTo(scene, "sink");
    },
  },
  {
    name: "a message to one who waits",
    points: ["send.rung"],
    victim: (scene) => sendTo(scene, scene.other),
  },
  {
    name: "a message that opens the next segment",
    points: ["rotate.made", "rotate.counted", "rotate.listed"],
    victim: (scene) => {
      scene.send("early", "sink", BIG, 2 * scene.perSegment);
      scene.take("sink", scene.perSegment); // The first segment is kept, to be used again.
      return sendTo(scene, "sink", BIG);
    },
  },
  {
    name: "a batch to two shards",
    points: ["batch.encoded", "batch.locked", "batch.between", "batch.unlocked", "batch.rung"],
    victim: (scene) => {
      const far = scene.inbox(false);
      return batchTo(scene, ["sink", far, "sink", far, "sink"]);
    },
  },
  {
    name: "taking three of five",
    points: [
      "deliver.marked",
      "deliver.unlocked",
      "take.begun",
      "take.dirty",
      "take.marked",
      "take.head_moved",
      "take.shallow",
      "take.counted",
      "take.unlocked",
    ],
    // The first message has been taken, the second is under way.
    pass: 2,
    victim: (scene) => {
      scene.send("early", "sink", 40, 5);
      return receive(3);
    },
  },
  {
    name: "taking the last of a segment",
    points: ["retire.begun", "retire.zeroed", "retire.renamed", "retire.kept", "retire.unlisted"],
    victim: (scene) => {
      scene.send("early", "sink", BIG, scene.perSegment + 2);
      scene.take("sink", scene.perSegment - 1);
      return receive(2);
    },
  },
  {
    name: "taking the last of another segment",
    points: ["retire.unlinked"],
    victim: (scene) => {
      scene.send("early", "sink", BIG, 2 * scene.perSegment + 1);
      scene.take("sink", 2 * scene.perSegment - 1);
      return receive(2);
    },
  },
  {
    name: "moving an idle inbox forward",
    points: ["move.begun", "move.copied", "move.relinked", "move.marked", "move.counted"],
    victim: (scene) => {
      const busy = scene.inbox();
      for (let n = 0; n < 6; n++) {
        scene.send("early", "sink", 100);
        scene.send("early", busy, BIG, scene.perSegment - 1);
      }
      scene.take(busy, 6 * (scene.perSegment - 1));
      return batchTo(scene, new Array<string>(scene.perSegment).fill(busy), BIG);
    },
  },
  {
    name: "a sender more than the table of pairs holds",
    points: ["pairs.created", "pairs.allocated", "pairs.copied", "pairs.named", "pairs.grown"],
    victim: (scene) => {
      for (let n = 0; n < 383; n++) scene.send(`p${n}`, "sink");
      scene.send("early", "sink", BIG, scene.perSegment);
      // Their records are gone with the first segment: only the table knows their numbers.
      scene.take("sink", 383 + scene.perSegment - 1);
      return sendTo(scene, "sink");
    },
    after: (scene) => scene.send("p7", "sink"),
  },
  {
    name: "a message with a large body",
    points: ["blob.begun", "replace.created", "replace.written", "blob.stored"],
    victim: (scene) => sendTo(scene, "sink", LARGE),
  },
  {
    name: "taking a message with a large body",
    points: ["blob.undropped", "blob.dropped"],
    victim: async (scene) => {
      await scene.sendLarge("early", "sink");
      scene.send("early", "sink");
      return receive(2);
    },
  },
  {
    name: "waiting for room in a full inbox",
    points: ["wait.begun", "wait.written"],
    victim: (scene) => {
      // Only of one that has an inbox does anybody need to know.
      scene.bus.register({ id: FROM, role: "guest" });
      const full = scene.inbox();
      scene.send("early", full, 40, scene.bus.info.inboxMessages);
      const deed = sendTo(scene, full);
      makesRoom.set(
        scene,
        setTimeout(() => scene.take(full, 1), 2000),
      );
      return { ...deed, args: [...deed.args.slice(0, -1), "10s"] };
    },
    after: (scene) => clearTimeout(makesRoom.get(scene)),
  },
  {
    name: "repairing what a dead sender left",
    points: [
      "rebuild.begun",
      "rebuild.adopted",
      "rebuild.cleared",
      "rebuild.scanned",
      "rebuild.linking",
      "rebuild.relinked",
      "rebuild.pairs_mended",
      "rebuild.slots_mended",
      "rebuild.settled",
      "rebuild.sealed",
    ],
    victim: async (scene) => {
      scene.send("early", "sink", BIG, scene.perSegment + 2);
      await scene.hush();
      const payload = JSON.stringify(scene.note("dead", "sink"));
      await scene.dies("record.committed", ["send", "sink", "--from", "dead", "--payload", "-"], payload);
      return sendTo(scene, "sink");
    },
  },
  {
    name: "repairing what nobody has written",
    points: [
      "rebuild.begun",
      "keep.created",
      "keep.kept",
      "rebuild.adopted",
      "rebuild.pairs_mended",
      "rebuild.slots_mended",
      "rebuild.cleared",
      "rebuild.scanned",
      "rebuild.linking",
      "rebuild.relinked",
      "rebuild.settled",
      "rebuild.sealed",
    ],
    damages: true,
    victim: async (scene) => {
      scene.send("early", "sink", BIG, scene.perSegment + 2);
      scene.take("sink", 2);
      await scene.hush();
      scene.damageCounts();
      return sendTo(scene, "sink");
    },
  },
  {
    name: "an agent that comes, works and leaves",
    points: [
      "register.begun",
      "register.allocated",
      "register.stated",
      "register.clean",
      "slot.counted",
      "slot.emptied",
      "vacate.dirty",
      "vacate.stated",
      "vacate.clean",
      "seat.leased",
      "seat.open",
      "replace.created",
      "replace.written",
      "spawn.begun",
      "spawn.started",
      "spawn.watched",
      "exit.seen",
      "exit.told",
      "exit.reaped",
      "leave.released",
      "leave.unregistered",
      "sweep.listed",
      "sweep.shard_done",
      "home.swept",
      "home.unclaimed",
    ],
    victim: (scene) => agent(scene.mate()),
  },
  {
    name: "an agent more than the index holds",
    points: ["index.begun", "index.allocated", "index.grown"],
    victim: (scene) => {
      const ids = Array.from({ length: 126 }, () => scene.mate());
      scene.bus.registerAll(ids.map((id) => ({ id, role: "guest" })));
      return agent(scene.mate());
    },
  },
  {
    name: "waiting for a message",
    points: ["bell.made", "bell.hung"],
    victim: () => ({ args: ["recv", "sink", "--wait=15s"] }),
  },
  {
    name: "a message that was waited for",
    points: ["bell.closing"],
    victim: () => ({ args: ["recv", "sink", "--wait=15s"] }),
    waits: true,
  },
  {
    name: "sweeping what the dead left",
    points: ["sweep.vacated", "sweep.unstated", "sweep.blob_gone", "sweep.bell_gone"],
    victim: async (scene) => {
      const large = JSON.stringify(scene.note("dead", "sink", LARGE));
      await scene.dies("blob.stored", ["send", "sink", "--from", "dead", "--payload", "-"], large);
      await scene.dies("bell.hung", ["recv", "sink", "--wait=15s"]);
      await scene.dies("spawn.begun", ["agent", scene.mate(), "--", "true"]);
      return agent(scene.mate());
    },
  },
];
