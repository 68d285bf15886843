/** Deliberate faults in the bus, each of which the simulator must catch. Some are bugs that it found, put back. */
import type { Mutation } from "./bundle.ts";

const one = (file: string, from: string, to: string): readonly Mutation[] => [{ file, from, to }];

export const mutants: ReadonlyMap<string, readonly Mutation[]> = new Map([
  [
    "a record is committed before its checksum is there",
    one(
      "record.ts",
      "  words[word + R.crc] = checksum(bytes, at, written);\n  Atomics.store(words, word + R.commit, length);\n",
      "  Atomics.store(words, word + R.commit, length);\n  words[word + R.crc] = checksum(bytes, at, written);\n",
    ),
  ],
  [
    "nobody repairs the index after a death",
    one("shard.ts", "if (Atomics.load(shard.index.words, H.dirty) !== 0) {", "if (shard.dir === '') {"),
  ],
  ["a send is not announced by the dirty word", one("append.ts", "  dirty(shard);\n  const pair", "  const pair")],
  [
    "taking is not announced by the dirty word",
    one("inbox.ts", "  dirty(shard);\n  for (let taken", "  for (let taken"),
  ],
  [
    "a retried sequence number is sent again",
    one("append.ts", '  if (sequence <= last) return { status: "duplicate", sequence };\n', ""),
  ],
  [
    "a message is taken when it is read, before it is handed over",
    one(
      "holding.ts",
      "    return copies.map((copy) => ({ message: this.decode(copy)",
      "    this.ack(copies.length);\n    return copies.map((copy) => ({ message: this.decode(copy)",
    ),
  ],
  ["the lock is not taken", one("shard.ts", "  if (!tryLockFile(shard.lockFd)) waitForLock(shard);\n", "")],
  [
    "the lock is not tried again after the wait",
    one("shard.ts", "    if (tryLockFile(shard.lockFd)) return;\n    pause", "    return;\n    pause"),
  ],
  [
    "a stopped holder of the lock is looked for only by the name it gave",
    one("shard.ts", "const holders = lockHolders(inode);", "const holders: number[] = [];"),
  ],
  [
    "a segment is retired one message too early",
    one(
      "segments.ts",
      "  if (words[at + S.live] === 0 && words[H.tail]",
      "  if ((words[at + S.live] as number) <= 1 && words[H.tail]",
    ),
  ],
  [
    "a moved message gets a new place in its inbox's order",
    one(
      "compact.ts",
      "writeRecord(shard, header, bodyOf(old))",
      "writeRecord(shard, { ...header, inboxSequence: (words[chainWord(header.slot, header.chain) + C.sequence] as number) + 1 }, bodyOf(old))",
    ),
  ],
  ["a moved message forgets its attempts", one("compact.ts", "  copyAttempts(old, copy);\n", "")],
  ["a moved message forgets what follows it", one("compact.ts", "  linkNext(copy, nextOf(old));\n", "")],
  [
    "a rebuild keeps both copies of a moved message",
    one("rebuild.ts", "if (follows && previous?.header.inboxSequence === inboxSequence) {", "if (shard.dir === '') {"),
  ],
  [
    "the tail is not cleared after the last message is taken",
    one("inbox.ts", "  if (position === 0) words[chainAt + C.tail] = 0;\n", ""),
  ],
  ["a taken message is not marked", one("inbox.ts", "    markTaken(place);\n", "")],
  [
    "a segment's unread bytes are not counted down",
    one(
      "segments.ts",
      "(words[at + S.liveBytes] as number) + bytes;",
      "(words[at + S.liveBytes] as number) + Math.max(0, bytes);",
    ),
  ],
  [
    "the blobs' bytes are not counted down",
    one("inbox.ts", "      words[H.blobBytes] = Math.max(0, (words[H.blobBytes] as number) - charge);\n", ""),
  ],
  [
    "what a dead writer left is erased commit word first",
    one(
      "rebuild.ts",
      "  place.words.fill(0, place.word + R.crc, place.word + length / 4);\n  Atomics.store(place.words, place.word + R.commit, 0);\n",
      "  Atomics.store(place.words, place.word + R.commit, 0);\n  place.words.fill(0, place.word + R.crc, place.word + length / 4);\n",
    ),
  ],
  [
    "a recycled segment is not zeroed",
    one("segments.ts", "      segment.mapping.words.fill(0, 0, (words[at + S.used] as number) >>> 2);\n", ""),
  ],
  [
    "a retired segment is zeroed before it is renamed",
    one(
      "segments.ts",
      "    if (renameFile(path, recycledPath(shard)) === 0) {\n      segment.mapping.words.fill(0, 0, (words[at + S.used] as number) >>> 2);\n",
      "    segment.mapping.words.fill(0, 0, (words[at + S.used] as number) >>> 2);\n    if (renameFile(path, recycledPath(shard)) === 0) {\n",
    ),
  ],
  [
    "a blob is removed when it is read",
    one(
      "bus.ts",
      '    if (body === undefined) {\n      throw new CfnError(\n        "unavailable",\n        `the stored',
      '    if (copy.isBlob) dropBlob(this.info.dir, copy.body);\n    if (body === undefined) {\n      throw new CfnError(\n        "unavailable",\n        `the stored',
    ),
  ],
  [
    "a sweep looks for dead writers after it has read the records",
    [
      { file: "sweep.ts", from: ".filter(isOrphan);", to: ";" },
      { file: "sweep.ts", from: "if (!named.has(blob) &&", to: "if (isOrphan(blob) && !named.has(blob) &&" },
    ],
  ],
  [
    "the old table of pairs is removed before the new one is named",
    [
      {
        file: "pairs.ts",
        from: "  unlinkFile(pairsPath(shard, number - 1));\n  old.unmap();\n",
        to: "  old.unmap();\n",
      },
      {
        file: "pairs.ts",
        from: "  shard.pairs = { number, mapping };\n  shard",
        to: "  unlinkFile(pairsPath(shard, number - 1));\n  shard.pairs = { number, mapping };\n  shard",
      },
    ],
  ],
  [
    "a slot's generation is cleared before it is raised",
    [
      { file: "slots.ts", from: "  words[at + A.generation] = generation;\n", to: "" },
      {
        file: "slots.ts",
        from: "  words.fill(0, at + A.generation + 1, at + SLOT_ID_BYTE / 4);\n",
        to: "  words.fill(0, at, at + SLOT_ID_BYTE / 4);\n  words[at + A.generation] = generation;\n",
      },
    ],
  ],
  [
    "a segment that cannot be opened for now counts as gone",
    one("segments.ts", "  if (fd < 0) fail(", "  if (fd < 0) return undefined;\n  if (fd < 0) fail("),
  ],
  [
    "a batch goes on behind a refused message",
    one(
      "bus.ts",
      'if (outcome.status === "full" || outcome.status === "gap") refused',
      'if (outcome.status === "gap") refused',
    ),
  ],
  ["an inbox with unread messages is given up", one("tenancy.ts", "unread === 0 ? SLOT_FREE : SLOT_AWAY", "SLOT_FREE")],
  [
    "two may host one agent",
    one(
      "tenancy.ts",
      "if (known >= 0 && !takeHosting(shard, known)) {",
      "if (known >= 0 && !takeHosting(shard, known) && shard.dir === '') {",
    ),
  ],
  ["two may take from one inbox", one("leases.ts", "mine.has(at) || !tryLockByte(shard.leasesFd, at)", "mine.has(at)")],
]);
