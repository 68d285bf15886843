import { describe, expect, test } from "bun:test";
import { expositionText, type MetricFamily } from "../../src/metrics/exposition.ts";

const histogram: MetricFamily = {
  name: "cfn_task_run_seconds",
  help: "How long attempts ran.",
  type: "histogram",
  samples: [
    {
      labels: { team: "c1" },
      buckets: [
        { le: 0.005, count: 2 },
        { le: 0.1, count: 3 },
      ],
      sum: 7.25,
      count: 4,
    },
  ],
};

/** What `promtool check metrics` complains of. */
async function complaints(text: string): Promise<string> {
  const promtool = Bun.spawn(["promtool", "check", "metrics"], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  promtool.stdin.write(text);
  await promtool.stdin.end();
  const said = `${await new Response(promtool.stdout).text()}${await new Response(promtool.stderr).text()}`;
  return `${await promtool.exited} ${said.trim()}`.trim();
}

describe("the Prometheus text format", () => {
  test("a gauge has its help, its type and a line per sample", () => {
    const samples = [
      { labels: { state: "working" }, value: 3 },
      { labels: { state: "ended" }, value: 0.5 },
    ];
    const text = expositionText([{ name: "cfn_agents", help: "Agents by state.", type: "gauge", samples }]);
    expect(text.split("\n")).toEqual([
      "# HELP cfn_agents Agents by state.",
      "# TYPE cfn_agents gauge",
      'cfn_agents{state="working"} 3',
      'cfn_agents{state="ended"} 0.5',
      "",
    ]);
  });

  test("a histogram closes with the bucket that holds everything, its sum and its count", () => {
    expect(expositionText([histogram]).split("\n").slice(2)).toEqual([
      'cfn_task_run_seconds_bucket{team="c1",le="0.005"} 2',
      'cfn_task_run_seconds_bucket{team="c1",le="0.1"} 3',
      'cfn_task_run_seconds_bucket{team="c1",le="+Inf"} 4',
      'cfn_task_run_seconds_sum{team="c1"} 7.25',
      'cfn_task_run_seconds_count{team="c1"} 4',
      "",
    ]);
  });

  test("quotes, backslashes and line breaks in values and help texts are escaped", () => {
    const samples = [{ labels: { path: 'a"b\\c\nd' }, value: 1 }];
    const text = expositionText([{ name: "cfn_x", help: "one\ntwo \\", type: "gauge", samples }]);
    expect(text).toContain("# HELP cfn_x one\\ntwo \\\\\n");
    expect(text).toContain('cfn_x{path="a\\"b\\\\c\\nd"} 1\n');
  });

  test("a family without samples is left out", () => {
    expect(expositionText([{ ...histogram, samples: [] }])).toBe("");
  });

  test("a name that scrapers would refuse, and one that stands twice, is a bug", () => {
    const family = (name: string, type: MetricFamily["type"]): MetricFamily => ({ name, help: "x", type, samples: [] });
    expect(() => expositionText([family("cfn_sent", "counter")])).toThrow("cfn_sent");
    expect(() => expositionText([family("cfn_sent_total", "gauge")])).toThrow("cfn_sent_total");
    expect(() => expositionText([family("cfn-x", "gauge")])).toThrow("cfn-x");
    expect(() => expositionText([family("cfn_x", "gauge"), family("cfn_x", "gauge")])).toThrow("cfn_x");
  });

  test("promtool, which is Prometheus's own parser, accepts it without a complaint", async () => {
    const counter: MetricFamily = {
      name: "cfn_messages_accepted_total",
      help: 'Messages accepted: "all" of them.',
      type: "counter",
      samples: [{ labels: { level: 'me"sh\\ \n' }, value: 12 }],
    };
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, -1e-9].map((value, n) => ({ labels: { n: String(n) }, value }));
    const gauge: MetricFamily = { name: "cfn_bus_bytes", help: "Bytes of the bus.", type: "gauge", samples: odd };
    expect(await complaints(expositionText([counter, histogram, gauge]))).toBe("0");
    expect(await complaints(`${expositionText([counter])}cfn_broken{ 1\n`)).not.toStartWith("0");
  });
});
