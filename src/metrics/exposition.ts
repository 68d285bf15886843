/**
 * Prometheus's text format, version 0.0.4: what `/metrics` answers and `cfn metrics --prometheus` prints. Pure.
 *
 * Names are in base units with the unit in the name (`_seconds`, `_bytes`), those of counters end in `_total`. That is asserted,
 * so that a family which a scraper would complain about fails the first test that prints it.
 */
import { assert } from "../assert.ts";

export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly MetricSample[];
}

export type MetricSample = ValueSample | HistogramSample;

interface ValueSample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface HistogramSample {
  readonly labels?: Readonly<Record<string, string>>;
  /** Cumulative, by rising bound; the one without a bound is `count`. */
  readonly buckets: readonly HistogramBucket[];
  readonly sum: number;
  readonly count: number;
}

export interface HistogramBucket {
  /** Values of at most this are counted. */
  readonly le: number;
  readonly count: number;
}

const NAME = /^[a-z][a-z0-9_]*$/;

/** Each family once, in the order given; one without samples is left out. Ends with a newline, or is empty. */
export function expositionText(families: readonly MetricFamily[]): string {
  const names = new Set<string>();
  let text = "";
  for (const { name, help, type, samples } of families) {
    assert(NAME.test(name) && !names.has(name), `the metric ${name} has a name of its own`);
    assert((type === "counter") === name.endsWith("_total"), `the ${type} ${name} says by its name what it is`);
    names.add(name);
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`;
    for (const sample of samples) text += "value" in sample ? valueLine(name, sample) : histogramLines(name, sample);
  }
  return text;
}

const valueLine = (name: string, { labels, value }: ValueSample): string =>
  `${name}${labelText(labels)} ${numberText(value)}\n`;

function histogramLines(name: string, { labels, buckets, sum, count }: HistogramSample): string {
  let text = "";
  for (const bucket of [...buckets, { le: Number.POSITIVE_INFINITY, count }]) {
    text += valueLine(`${name}_bucket`, { labels: { ...labels, le: numberText(bucket.le) }, value: bucket.count });
  }
  const own = labelText(labels);
  return `${text}${name}_sum${own} ${numberText(sum)}\n${name}_count${own} ${numberText(count)}\n`;
}

function labelText(labels: Readonly<Record<string, string>> = {}): string {
  const parts = Object.entries(labels).map(([label, value]) => {
    assert(NAME.test(label), `the label ${label} has a name that scrapers accept`);
    return `${label}="${escaped(value).replaceAll('"', '\\"')}"`;
  });
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
