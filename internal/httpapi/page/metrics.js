// Rates and latencies from /metrics: this instance's requests for sessions, without health checks and the like.

const counts = /^\/v1\/(sessions?|users)(\/|:|$)/;

// kindOf says whether a request reads or writes sessions; null for others.
function kindOf({ route, method }) {
  if (!counts.test(route ?? "")) return null;
  const verb = (method ?? "").toLowerCase();
  return verb === "get" || verb === "head" || route.endsWith(":batchGet") ? "reads" : "writes";
}

function readLine(line) {
  const open = line.indexOf("{"), close = line.lastIndexOf("}");
  if (open < 0) {
    const [name, value] = line.split(" ");
    return { name, labels: {}, value: Number(value) };
  }
  const labels = {};
  for (const [, name, value] of line.slice(open + 1, close).matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
  return { name: line.slice(0, open), labels, value: Number(line.slice(close + 1).trim().split(" ")[0]) };
}

const nothing = () => ({ count: 0, failed: 0, buckets: new Map() });

// parse reads Prometheus' text format, as much of it as the page needs.
export function parse(text) {
  const found = { reads: nothing(), writes: nothing(), version: "", started: 0 };
  for (const line of text.split("\n")) {
    if (!/^(sessiond_http_request|sessiond_build_info|process_start_time_seconds)/.test(line)) continue;
    const { name, labels, value } = readLine(line);
    const kind = found[kindOf(labels)];
    if (name === "sessiond_build_info") found.version = labels.version ?? "";
    else if (name === "process_start_time_seconds") found.started = value;
    else if (name === "sessiond_http_requests_total" && kind) {
      kind.count += value;
      if (labels.code >= "500") kind.failed += value;
    } else if (name === "sessiond_http_request_duration_seconds_bucket" && kind) {
      const upTo = labels.le === "+Inf" ? Infinity : Number(labels.le);
      kind.buckets.set(upTo, (kind.buckets.get(upTo) ?? 0) + value);
    }
  }
  return found;
}

// since returns what was counted between two looks; null if another process answered the second.
export function since(before, after) {
  if (before.started !== after.started || after.reads.count < before.reads.count || after.writes.count < before.writes.count) return null;
  const kinds = {};
  for (const kind of ["reads", "writes"]) {
    const a = before[kind], b = after[kind];
    const buckets = new Map([...b.buckets].map(([upTo, n]) => [upTo, n - (a.buckets.get(upTo) ?? 0)]));
    kinds[kind] = { count: b.count - a.count, failed: b.failed - a.failed, buckets };
  }
  return kinds;
}

// sum adds up several spans of time.
export function sum(spans, kind) {
  const all = nothing();
  for (const s of spans) {
    all.count += s[kind].count;
    all.failed += s[kind].failed;
    for (const [upTo, n] of s[kind].buckets) all.buckets.set(upTo, (all.buckets.get(upTo) ?? 0) + n);
  }
  return all;
}

// quantile finds one in seconds: the bounds of its bucket, and an estimate between them as by PromQL's histogram_quantile.
// All are NaN if nothing was counted.
export function quantile(q, buckets) {
  const limits = [...buckets.keys()].sort((a, b) => a - b);
  const total = buckets.get(Infinity) ?? 0;
  if (!(total > 0)) return { above: NaN, upTo: NaN, estimate: NaN };
  let below = 0, from = 0;
  for (const upTo of limits) {
    const n = buckets.get(upTo);
    if (n >= q * total) {
      const estimate = upTo === Infinity ? from : from + ((upTo - from) * (q * total - below)) / Math.max(n - below, 1e-9);
      return { above: from, upTo, estimate };
    }
    below = n;
    from = upTo;
  }
  return { above: from, upTo: Infinity, estimate: from };
}
