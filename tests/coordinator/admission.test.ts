import { expect, test } from "bun:test";
import {
  type Admission,
  type AdmissionMarks,
  admit,
  type MachineLoad,
  notYetAdmitted,
} from "../../src/coordinator/admission.ts";
import { Gate } from "../../src/coordinator/gate.ts";
import { limits } from "../../src/limits.ts";

const GiB = 2 ** 30;
const idle: MachineLoad = { availableBytes: 64 * GiB, load: 0, pressurePercent: 0 };
const cores = 4;

/** What each of these looks in turn comes to. */
function looks(marks: AdmissionMarks, ...machines: Partial<MachineLoad>[]): Admission[] {
  let admission = notYetAdmitted;
  return machines.map((machine) => {
    admission = admit(admission, marks, { ...idle, ...machine }, cores);
    return admission;
  });
}

const starts = (all: readonly Admission[]): number[] => all.map((one) => one.starts);

test("an open gate lets one start for each core, and twice as many with each further look", () => {
  expect(starts(looks({ loadMost: 1 }, {}, {}, {}, {}))).toEqual([4, 8, 16, 32]);
  const many = looks({ loadMost: 1 }, ...new Array<object>(30).fill({}));
  expect(many[29]?.starts).toBe(limits.agentsMax);
});

test("it begins anew after it has been closed", () => {
  expect(starts(looks({ loadMost: 10 }, {}, {}, { load: 11 }, {}, {}))).toEqual([4, 8, 0, 4, 8]);
});

const cases: [
  string,
  AdmissionMarks,
  at: Partial<MachineLoad>,
  beyond: Partial<MachineLoad>,
  back: Partial<MachineLoad>,
][] = [
  [
    "memory",
    { memfreeBytes: 10 * GiB },
    { availableBytes: 10 * GiB },
    { availableBytes: 10 * GiB - 1 },
    { availableBytes: 11 * GiB },
  ],
  ["a lower load", { loadMost: 10 }, { load: 10 }, { load: 10.1 }, { load: 9 }],
  [
    "less pressure",
    { pressureMostPercent: 50 },
    { pressurePercent: 50 },
    { pressurePercent: 50.1 },
    { pressurePercent: 45 },
  ],
];

for (const [what, marks, at, beyond, back] of cases) {
  test(`it closes beyond the mark and opens a tenth on this side of it: ${what}`, () => {
    const all = looks(marks, at, beyond, at, back, at);
    expect(starts(all)).toEqual([4, 0, 0, 4, 8]);
    expect(all.map(({ waitsFor }) => waitsFor?.startsWith(what))).toEqual([
      undefined,
      true,
      true,
      undefined,
      undefined,
    ]);
  });

  test(`the first look may find it closed already: ${what}`, () => expect(starts(looks(marks, beyond))).toEqual([0]));
}

test("any of several marks closes it", () => {
  const marks = { memfreeBytes: GiB, loadMost: 10, pressureMostPercent: 50 };
  expect(starts(looks(marks, {}))).toEqual([4]);
  for (const one of [{ availableBytes: 1 }, { load: 11 }, { pressurePercent: 51 }])
    expect(starts(looks(marks, one))).toEqual([0]);
});

test("what it waits for is said with its figures", () => {
  expect(looks({ memfreeBytes: 2 * GiB }, { availableBytes: 812.7 * 2 ** 20 })[0]?.waitsFor).toBe(
    "memory: 812MiB available, --memfree 2GiB",
  );
  expect(looks({ loadMost: 1.5 }, { load: 3.25 })[0]?.waitsFor).toBe("a lower load: 3.25, --load 1.5");
});

test("a gate warns once something has waited at it for a while, and then now and then", () => {
  const warnings: string[] = [];
  const gate = new Gate({ memfreeBytes: 2 ** 50 }, (text) => warnings.push(text));
  const { admissionWarnAfterMs: after, admissionWarnEveryMs: every } = limits;
  const at = (ms: number, wanted = true): number => {
    expect(gate.look(ms, wanted).starts).toBe(0);
    return warnings.length;
  };
  expect([at(0, false), at(after, false), at(after), at(2 * after - 1)]).toEqual([0, 0, 0, 0]);
  expect([at(2 * after), at(3 * after), at(2 * after + every - 1), at(2 * after + every)]).toEqual([1, 1, 1, 2]);
  expect(warnings[0]).toMatch(/^no agent starts: the run waits for memory: \d+MiB available, --memfree 1048576GiB$/);
});
