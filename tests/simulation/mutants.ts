/** Deliberate faults in the bus, each of which the simulator must catch. Some are bugs that it found, put back. */
import type { Mutation } from "./bundle.ts";

const one = (file: string, from: string, to: string): readonly Mutation[] => [{ file, from, to }];

export const mutants: ReadonlyMap<string, readonly Mutation[]> = new Map([
  [
    "a record is committed before its checksum is there",
    one(
      "record.ts",
      "  words[word + R.checksum] = checksumWith(words, word, bodysSum);\n  Atomics.store(words, word + R.commit, length);\n",
      "  Atomics.store(words, word + R.commit, length);\n  words[word + R.checksum] = checksumWith(words, word, bodysSum);\n",
    ),
  ],
  [
    "nobody repairs the index after a death",
    one("shard.ts", "if (state === CHANGING) rebuild(shard);", "if (state === CHANGING) clean(shard);"),
  ],
  [
    "a death is taken for damage",
    one("shard.ts", "if (state === CHANGING) rebuild(shard);\n    else if (state !== CLEAN", "if (state !== CLEAN"),
  ],
  ["a send is not announced by the dirty word", one("append.ts", "  dirty(shard);\n  const pair", "  const pair")],
  ["taking is not announced by the dirty word", one("inbox.ts", "  dirty(shard);\n  for (let n", "  for (let n")],
  [
    "a retried sequence number is sent again",
    one("append.ts", '  if (sequence <= last) return refusedWith({ status: "duplicate", sequence });\n', ""),
  ],
  [
    "a message is taken when it is read, before it is handed over",
    one(
      "holding.ts",
      "      if (deliveries !== undefined) return deliveries;",
      "      if (deliveries !== undefined) this.ack(deliveries.length);\n      if (deliveries !== undefined) return deliveries;",
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
      "addRecord(tail, header, body,",
      "addRecord(tail, { ...header, inboxSequence: (words[chainWord(header.slot, header.chain) + C.sequence] as number) + 1 }, body,",
    ),
  ],
  ["a moved message forgets its attempts", one("compact.ts", "  copyAttempts(old, copy);\n", "")],
  ["a moved message forgets what follows it", one("compact.ts", "  linkNext(copy, nextOf(old));\n", "")],
  [
    "a rebuild keeps both copies of a moved message",
    one("rebuild.ts", "if (follows && before === inboxSequence) {", "if (shard.dir === '') {"),
  ],
  [
    "the tail is not cleared after the last message is taken",
    one("inbox.ts", "  if (depth === 0) words[chainAt + C.tail] = 0;\n", ""),
  ],
  ["a taken message is not marked", one("inbox.ts", "    Atomics.or(place.words, word + R.state, TAKEN);\n", "")],
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
    one("inbox.ts", "      setHeader(words, H.blobBytes, Math.max(0, (words[H.blobBytes] as number) - charge));\n", ""),
  ],
  [
    "what a dead writer left is erased commit word first",
    one(
      "record.ts",
      "  place.words.fill(0, place.word + R.checksum, place.word + length / 4);\n  Atomics.store(place.words, place.word + R.commit, 0);\n",
      "  Atomics.store(place.words, place.word + R.commit, 0);\n  place.words.fill(0, place.word + R.checksum, place.word + length / 4);\n",
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
    [
      { file: "bus.ts", from: "import { loadBlob }", to: "import { dropBlob, loadBlob }" },
      {
        file: "bus.ts",
        from: "loadBlob(this.info.dir, body);\n",
        to: "loadBlob(this.info.dir, body);\n    dropBlob(this.info.dir, body);\n",
      },
    ],
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
    one(
      "pairs.ts",
      "  for (const word of kept) {\n",
      "  unlinkFile(pairsPath(shard, number - 1));\n  for (const word of kept) {\n",
    ),
  ],
  [
    // Either alone keeps the last one's messages from being taken for the next one's.
    "a slot's next tenant has the generation of the last one and counts anew",
    [
      ...one(
        "slots.ts",
        "const generation = ((words[at + A.generation] as number) + 1) >>> 0;",
        "const generation = words[at + A.generation] as number;",
      ),
      ...one(
        "slots.ts",
        "    words[chainAt + C.taken] = words[chainAt + C.sequence] as number;\n",
        "    words[chainAt + C.taken] = words[chainAt + C.sequence] = 0;\n",
      ),
    ],
  ],
  [
    "a segment that cannot be opened for now counts as gone",
    one("segments.ts", "  if (fd < 0) fail(", "  if (fd < 0) return undefined;\n  if (fd < 0) fail("),
  ],
  [
    "a batch goes on behind a refused message",
    one(
      "sending.ts",
      'if (refusal?.status === "full" || refusal?.status === "gap") refused',
      'if (refusal?.status === "gap") refused',
    ),
  ],
  [
    "a row of messages is counted as one",
    one("append.ts", "Atomics.add(words, chainAt + C.depth, accepted);", "Atomics.add(words, chainAt + C.depth, 1);"),
  ],
  [
    "a row of messages goes past the bound of its inbox",
    one(
      "append.ts",
      "if (from + accepted === to || depth + accepted >= most) break;",
      "if (from + accepted === to) break;",
    ),
  ],
  [
    "an inbox takes one message more than its bound",
    one("append.ts", "  if (depth >= most) return refusedWith(", "  if (depth > most) return refusedWith("),
  ],
  [
    "of a row of messages only the first is linked",
    one(
      "append.ts",
      "      linkNext(previous, position);\n",
      "      if (accepted === 0) linkNext(previous, position);\n",
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
  [
    "a chain is not sealed anew after an append",
    one("append.ts", "  sealChain(words, at, chain);\n  clean(shard);", "  clean(shard);"),
  ],
  [
    "a chain is not sealed anew after a move",
    one("compact.ts", "  sealChain(words, slotWord(slot), chain);\n  markTaken(old);\n", "  markTaken(old);\n"),
  ],
  ["a segment's entry is not sealed anew after a record", one("record.ts", "  sealEntry(words, at);\n", "")],
  [
    "a pair is not sealed anew when its number is raised",
    one(
      "pairs.ts",
      "    words[pair + 2] = sequence;\n    sealPair(words, pair);\n",
      "    words[pair + 2] = sequence;\n",
    ),
  ],
  [
    "the header's seal adds what it should take away",
    one("seals.ts", "- term(before, weight(at - H.recycled))", "+ term(before, weight(at - H.recycled))"),
  ],
  [
    "a rebuild says for a moment that everything is taken",
    one(
      "rebuild.ts",
      "  const linked = new Set<number>();\n",
      "  const linked = new Set<number>();\n  for (const { header } of unread) {\n    const at = chainWord(header.slot, header.chain);\n    words[at + C.taken] = words[at + C.sequence] as number;\n  }\n",
    ),
  ],
  [
    "a slot's next tenant begins to count anew",
    one(
      "slots.ts",
      "    words[chainAt + C.taken] = words[chainAt + C.sequence] as number;\n",
      "    words[chainAt + C.taken] = words[chainAt + C.sequence] = 0;\n",
    ),
  ],
  [
    "the inboxes are closed without their shard's lock",
    one("bus.ts", "withShard(shard, () => closeInboxesOf(shard))", "closeInboxesOf(shard)"),
  ],
  [
    "a message is taken by inboxes that are closed",
    one("append.ts", "shard.index.words[H.closing] === CLOSED &&", "shard.index.words[H.closing] === 2 &&"),
  ],
  [
    "a half-made table of pairs is left",
    [
      ...one("pairs.ts", "if (other !== words[H.pairsNumber]) unlinkFile", "if (other !== number) unlinkFile"),
      ...one("pairs.ts", "    if (fd >= 0) unlinkFile(path);\n", ""),
    ],
  ],
  [
    "an onlooker does not come to know of added slots",
    one("inspection.ts", "    refreshIndex(shard);\n    for (let left = LOOKS;", "    for (let left = LOOKS;"),
  ],
  [
    "a directory that cannot be listed counts as empty",
    one("shard.ts", "  if (names.length === 0) fail", "  if (names.length < 0) fail"),
  ],
]);
