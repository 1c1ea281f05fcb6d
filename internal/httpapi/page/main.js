// The live page: asks its instance once a second, listens to its events, and draws. It pauses while the tab is hidden.

import { describe, drawCharts, WINDOW } from "./chart.js";
import { byID, mark, say, setIcon } from "./dom.js";
import { parse, quantile, since, sum } from "./metrics.js";
import { drawIncident, listen } from "./timeline.js";
import { drawTopology, time } from "./topology.js";
import { SLOTS, sayQuantile, span, verdict } from "./words.js";

const every = 1000; // milliseconds between looks
const atOnce = 40; // milliseconds from an event to the look at what it changed
const patience = 3000; // milliseconds to wait for an answer
const recent = 5; // spans of time that the figures cover

const ask = async (path) => {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(patience), headers: { Accept: "application/json, text/plain" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
};

let cluster = null; // the last answer
let lost = 0; // when answers stopped; 0 while they come
let looking = 0; // number of the look whose answer is awaited
let shownLook = 0;

// The service's clock is not the browser's. Each answer's Date, cut to the second, bounds how far ahead it is.
const clock = { least: -Infinity, most: Infinity };
function readClock(answer, sent) {
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (Number.isNaN(date)) return;
  clock.least = Math.max(clock.least, date - Date.now());
  clock.most = Math.min(clock.most, date + 1000 - sent);
  if (clock.least > clock.most) [clock.least, clock.most] = [date - Date.now(), date + 1000 - sent]; // one of the two clocks was set
}
function serviceNow() {
  if (clock.least === -Infinity || (clock.least <= 0 && clock.most >= 0)) return Date.now();
  return Date.now() + (clock.least + clock.most) / 2;
}

async function lookAtCluster() {
  const number = ++looking;
  try {
    const sent = Date.now();
    const answer = await ask("v1/cluster");
    const body = await answer.json();
    if (number < shownLook) return; // a later look was answered first
    shownLook = number;
    readClock(answer, sent);
    cluster = body;
    lost = 0;
  } catch {
    if (number < shownLook) return;
    lost ||= Date.now();
  }
  drawCluster();
}

function drawCluster() {
  const live = byID("live");
  mark(live, "state", lost ? "lost" : "live");
  say(byID("live-text"), lost ? "no answer" : "live");
  mark(document.body, "lost", lost ? "true" : "false");
  if (!cluster && !lost) return;
  const v = lost
    ? { tone: "bad", title: "This instance is not responding", more: cluster ? `No answer since ${time(new Date(lost).toISOString())}; below is the last one. Another instance may be up.` : "It has not answered yet." }
    : verdict(cluster, serviceNow());
  mark(byID("banner"), "tone", v.tone);
  setIcon(byID("banner").querySelector(".icon"), v.tone);
  say(byID("banner-title"), v.title);
  say(byID("banner-more"), v.more);
  document.title = `${{ good: "✓", warn: "⚠", bad: "✗" }[v.tone]} ${v.title} · sessiond`;
  if (!cluster) return;
  drawTopology(cluster);
  drawIncident(events, cluster, cluster.slots_covered === SLOTS);
}

let before = null; // the previous look at the metrics
const spans = []; // what was counted between looks: {long, reads, writes}
const points = []; // the same as rates and quantiles, for the charts

async function lookAtMetrics() {
  try {
    const now = { t: performance.now(), ...parse(await (await ask("metrics")).text()) };
    const long = before ? (now.t - before.t) / 1000 : 0;
    const came = before && long > 0.2 ? since(before, now) : null;
    if (before && !came) spans.length = 0;
    before = now;
    say(byID("about"), about(now));
    if (came) addSpan({ long, ...came });
  } catch {
    before = null;
    spans.length = 0;
  }
  drawTraffic();
}

function about(m) {
  const version = m.version && m.version !== "(devel)" ? `, version ${m.version}` : "";
  return version + (m.started ? `, up ${span(Math.max(1, serviceNow() / 1000 - m.started))}` : "");
}

function addSpan(s) {
  spans.push(s);
  if (spans.length > recent) spans.shift();
  const p = { t: serviceNow(), reads: s.reads.count / s.long, writes: s.writes.count / s.long, failed: (s.reads.failed + s.writes.failed) / s.long };
  for (const kind of ["reads", "writes"]) {
    p[kind + "50"] = quantile(0.5, s[kind].buckets).estimate;
    p[kind + "99"] = quantile(0.99, s[kind].buckets).estimate;
  }
  points.push({ ...p, failures: s.reads.failed + s.writes.failed });
  while (points[0].t < p.t - WINDOW - every) points.shift();
}

const sayRate = (n) => (n >= 10 || n === 0 ? String(Math.round(n)) : n.toFixed(1));

function drawTraffic() {
  const long = spans.reduce((n, s) => n + s.long, 0);
  let failed = 0;
  for (const kind of ["reads", "writes"]) {
    const all = sum(spans, kind);
    failed += all.failed;
    say(byID(kind + "-rate"), long ? sayRate(all.count / long) : "–");
    const latency = (q) => sayQuantile(quantile(q, all.buckets));
    say(byID(kind + "-latency"), all.count ? `p50 ${latency(0.5)}, p99 ${latency(0.99)}` : "none lately");
  }
  const failures = points.reduce((n, p) => n + p.failures, 0);
  say(byID("failed-rate"), long ? sayRate(failed / long) : "–");
  say(byID("failed-recent"), `${failures} in the last 2 min`);
  mark(byID("failed"), "tone", failures ? "bad" : "good");
  setIcon(byID("failed").querySelector(".icon"), failures ? "bad" : "good");
  drawCharts(points, events, serviceNow());
  describe(points);
}

let timer = 0;
async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  const began = Date.now();
  await Promise.all([lookAtCluster(), lookAtMetrics()]);
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(look, Math.max(50, every - (Date.now() - began)));
}

let fresh = 0;
function heard() {
  if (document.hidden || fresh) return;
  fresh = setTimeout(() => {
    fresh = 0;
    lookAtCluster();
  }, atOnce);
}

say(byID("instance"), location.host);
byID("page").hidden = false;
const events = listen(heard);
document.addEventListener("visibilitychange", () => {
  before = null; // the pause must not count as one span
  mark(byID("live"), "state", document.hidden ? "paused" : "connecting");
  look();
});
addEventListener("resize", () => drawCharts(points, events, serviceNow()));
look();
