/** What each path answers. Pure. */
import { expositionText } from "../metrics/exposition.ts";
import { agentReport, statusReport } from "../observe/reports.ts";
import { masterTrouble, type RunHead, type RunView, unreadiness } from "../observe/runview.ts";
import type { HttpResponse } from "../os/http.ts";
import { viewFamilies } from "./families.ts";
import { plain } from "./gate.ts";

const json = (value: unknown): HttpResponse => ({
  status: 200,
  type: "application/json",
  body: `${JSON.stringify(value)}\n`,
});

const verdict = (trouble: string | undefined): HttpResponse =>
  trouble === undefined ? plain(200, "ok") : plain(503, trouble);

const NO_RUN = "there is no run";

/** Whether the master is well, and takes tasks, is answered without looking at the agents. */
type Route =
  | { readonly of: "head"; readonly answer: (head: RunHead | undefined) => HttpResponse }
  | { readonly of: "view"; readonly answer: (view: RunView | undefined) => HttpResponse };

const routes: Readonly<Record<string, Route>> = {
  "/healthz": { of: "head", answer: (head) => verdict(head === undefined ? NO_RUN : masterTrouble(head)) },
  "/readyz": { of: "head", answer: (head) => verdict(head === undefined ? NO_RUN : unreadiness(head)) },
  "/status": {
    of: "view",
    answer: (view) => (view === undefined ? plain(503, NO_RUN) : json(statusReport(view))),
  },
  "/agents": { of: "view", answer: (view) => json(view?.agents.map(agentReport) ?? []) },
  "/metrics": {
    of: "view",
    answer: (view) => ({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: expositionText(viewFamilies(view)),
    }),
  },
};

const paths = Object.keys(routes).join("  ");

/** Undefined where there is nothing to look at for it: the answer is the same whatever the run does. */
export function routeOf(target: string): Route | undefined {
  const path = target.split("?", 1)[0] as string;
  return routes[path];
}

export const notFound = (target: string): HttpResponse =>
  target === "/" ? plain(200, paths) : plain(404, `there is no such path; there are  ${paths}`);
