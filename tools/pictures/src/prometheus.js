// Queries as Grafana's Prometheus data source makes them, and their answers as data frames.
import { FieldType, createDataFrame, rangeUtil } from "@grafana/data";

const SCRAPE = 60; // seconds: what the data source would have as its scrape interval

/** Seconds between two points of a panel that is so many pixels wide. */
export function stepOf(panel, width, range) {
  const least = panel.interval ?? `${SCRAPE}s`;
  return Math.max(SCRAPE, rangeUtil.calculateInterval(range, width, least).intervalMs / 1000);
}

/** The expression with the dashboard's variables and Grafana's own in place. */
export function filled(expr, variables, step, range) {
  const seconds = range.to.unix() - range.from.unix();
  const own = {
    __rate_interval: `${Math.max(step + SCRAPE, 4 * SCRAPE)}s`,
    __interval_ms: 1000 * step,
    __interval: `${step}s`,
    __range_s: seconds,
    __range: `${seconds}s`,
  };
  return expr.replace(/\$(\w+)/g, (whole, name) => own[name] ?? variables[name] ?? whole);
}

async function ask(path, parameters) {
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
  if (answer.status !== "success") {
    throw new Error(`${answer.error}: ${parameters.query}`);
  }
  return answer.data.result;
}

/** The frames of a target: a table, one value for each series, or one line for each series. */
export async function frames(target, { variables, step, range, single }) {
  const query = filled(target.expr, variables, step, range);
  const end = range.to.unix();
  if (target.range) {
    const start = Math.floor(range.from.unix() / step) * step;
    const series = await ask("query_range", { query, start, end, step });
    const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, place) => start + place * step);
    return series.map((each) => line(target, each, times));
  }
  const vector = await ask("query", { query, time: end });
  if (target.format === "table") {
    return vector.length ? [table(target, vector, single)] : [];
  }
  return vector.map((each) => line(target, { ...each, values: [each.value] }, [end]));
}

/** The annotation's moments, in milliseconds: each change is told by one point. */
export async function moments(annotation, { variables, range }) {
  const settings = { variables, step: SCRAPE, range, single: true };
  const found = await frames({ ...annotation, range: true }, settings);
  return found.flatMap(({ fields: [time, value] }) => time.values.filter((_, place) => value.values[place] !== null));
}

function line(target, { metric, values }, times) {
  const told = new Map(values.map(([at, value]) => [at, Number(value)]));
  const known = times.map((at) => (Number.isNaN(told.get(at) ?? NaN) ? null : told.get(at)));
  const name = target.legendFormat
    ? target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? "")
    : JSON.stringify(metric);
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: times.map((at) => 1000 * at) },
      { name: "Value", type: FieldType.number, values: known, labels: metric, config: { displayNameFromDS: name } },
    ],
  });
}

function table(target, vector, single) {
  const labels = [...new Set(vector.flatMap(({ metric }) => Object.keys(metric)))].sort();
  return createDataFrame({
    refId: target.refId,
    fields: [
      { name: "Time", type: FieldType.time, values: vector.map(({ value }) => 1000 * value[0]) },
      ...labels.map((name) => ({
        name,
        type: FieldType.string,
        values: vector.map(({ metric }) => metric[name] ?? ""),
        config: { filterable: true },
      })),
      {
        name: single ? "Value" : `Value #${target.refId}`,
        type: FieldType.number,
        values: vector.map(({ value }) => Number(value[1])),
      },
    ],
  });
}
