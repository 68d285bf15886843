/** The files around a run: what it records (journal, joblog), what it stores (results) and what it reports. */
import type { RunEnd, RunOptions } from "../src/coordinator/contract.ts";
import { Output } from "../src/coordinator/output.ts";
import { Recorder } from "../src/coordinator/recorder.ts";
import { writeReport } from "../src/coordinator/report.ts";
import { ResultFolders } from "../src/coordinator/results.ts";
import type { Undertaking } from "./undertaking.ts";

export interface RunFiles {
  /** The lock of the journal: see `HeldFolder.ownerFd`. Undefined without a journal. */
  readonly ownerFd: number | undefined;
  /** The journal's folder. */
  readonly folder: string | undefined;
  readonly openRecorder: RunOptions["openRecorder"];
  readonly outputFrom: (spool: string) => RunOptions["openOutput"];
  /** The run has ended in order. Throws CfnError where the report cannot be written. */
  readonly end: (end: RunEnd) => Promise<void>;
  /** The run could not begin, or broke off: throws the error. Of a new run that has recorded nothing, nothing is kept. */
  readonly giveUp: (error: unknown) => never;
}

/** Throws CfnError("cannot_create"), or malformed for a joblog that is none; without a journal the run goes on. */
export function openFiles({ args, earlier, isNew, openJoblog, openJournal }: Undertaking): RunFiles {
  const joblog = openJoblog();
  const results = args.results === undefined ? undefined : new ResultFolders(args.results);
  const { json, tag, "keep-order": keepOrder, "line-buffer": lineBuffer } = args;
  const journal = openJournal();
  return {
    ownerFd: journal?.ownerFd,
    folder: journal?.path,
    openRecorder: (retried, onFailure) => new Recorder({ journal, joblog, earlier, retried, onFailure }),
    outputFrom: (spool) => (recorder, onFailure) => {
      const onOut = recorder.add.bind(recorder);
      const isSkipped = recorder.has.bind(recorder);
      return new Output({ spool, json, tag, keepOrder, lineBuffer, results, isSkipped, onOut, onFailure });
    },
    end: async ({ report, finished }) => {
      joblog?.close();
      await journal?.end({ status: report.status, finished, tasks: report.tasks });
      if (args.report !== undefined) writeReport(args.report, report);
    },
    giveUp: (error) => {
      if (isNew) journal?.withdraw();
      throw error;
    },
  };
}
