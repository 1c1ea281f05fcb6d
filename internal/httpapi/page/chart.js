// Two small charts of the last two minutes, with the cluster's events as vertical lines.

import { byID, svg } from "./dom.js";
import { above, place } from "./labels.js";
import { span } from "./words.js";

export const WINDOW = 120_000; // milliseconds

const row = 14; // of labels, above the drawing
const most = 2; // rows of labels; a label that needs a third is left out, but its lines are drawn
const foot = 16;
const height = 132;
const gap = 3500; // milliseconds between points from which on a line is interrupted

// marked maps the events that the charts show to their labels.
const marked = { "node-down": "down", promoted: "promoted", "writes-resumed": "writes resumed", "node-up": "back", rebalanced: "rebalanced" };

// drawCharts draws points {t, reads, writes, failed, reads50, reads99, writes50, writes99} and events. now is in milliseconds.
export function drawCharts(points, events, now) {
  const marks = groupMarks(events, now);
  const rates = points.flatMap((p) => [p.reads, p.writes]).filter(Number.isFinite);
  const top = roundUp(Math.max(10, ...rates));
  draw(byID("rate"), now, marks, {
    y: (v) => v / top,
    ticks: [[0, "0"], [top / 2, String(top / 2)], [top, String(top)]],
    lines: [["reads", "reads", true], ["writes", "writes", true]],
    bars: "failed",
    points,
  });
  const low = Math.log10(0.0005), high = Math.log10(10);
  draw(byID("latency"), now, marks, {
    y: (v) => (Math.log10(Math.max(v, 0.0005)) - low) / (high - low),
    ticks: [[0.001, "1 ms"], [0.01, "10 ms"], [0.1, "0.1 s"], [1, "1 s"], [10, "10 s"]],
    lines: [["reads50", "reads thin"], ["writes50", "writes thin"], ["reads99", "reads"], ["writes99", "writes"]],
    points,
  });
}

function roundUp(v) {
  const unit = 10 ** Math.floor(Math.log10(v));
  return [1, 2, 4, 6, 8, 10].find((n) => n * unit >= v) * unit;
}

// groupMarks groups events that happened together, to share a label.
function groupMarks(events, now) {
  const groups = [];
  for (const e of events) {
    const t = Date.parse(e.time);
    if (!marked[e.type] || t < now - WINDOW) continue;
    const last = groups.at(-1);
    const at = last && t - last.to < 4000 ? last : { from: t, to: t, words: new Set(), lines: [] };
    if (at !== last) groups.push(at);
    at.to = t;
    at.words.add(marked[e.type]);
    at.lines.push({ t, type: e.type });
  }
  return groups.map((g) => ({ ...g, words: [...g.words] }));
}

// fit joins words to a label no wider than the drawing. If not all fit, it keeps the latest.
function fit(chart, words, inner) {
  for (let from = 0; ; from++) {
    const label = words.slice(from).join(", "), width = measure(chart, label);
    if (width <= inner || from === words.length - 1) return { label, width };
  }
}

const widths = new Map(); // of labels, in pixels

// measure returns how wide a label is.
function measure(chart, label) {
  if (!widths.has(label)) {
    const probe = svg("text", { class: "word" });
    probe.textContent = label;
    chart.append(probe);
    widths.set(label, probe.getComputedTextLength());
    probe.remove();
  }
  return widths.get(label);
}

function draw(chart, now, marks, { y, ticks, lines, bars, points }) {
  const width = chart.clientWidth;
  if (width === 0) return;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const left = 44, inner = width - left - 6, bottom = height - foot;
  const x = (t) => left + inner * (1 - (now - t) / WINDOW);
  const labels = marks.map((m) => ({ ...m, x: x(m.from), ...fit(chart, m.words, inner) }));
  place(labels.toReversed(), left, width - 6); // the latest first, so that old ones are left out
  const shown = labels.filter((l) => l.row < most);
  const gutter = row * Math.max(1, ...shown.map((l) => l.row + 1)) + 4;
  const up = (v) => bottom - (bottom - gutter) * Math.min(1, y(v));
  const shapes = [];
  const text = (at, words, name, anchor) => {
    const e = svg("text", { ...at, class: name, "text-anchor": anchor });
    e.textContent = words;
    shapes.push(e);
    return e;
  };

  for (const [v, label] of ticks) {
    shapes.push(svg("line", { x1: left, x2: width - 6, y1: up(v), y2: up(v), class: "grid" }));
    text({ x: left - 6, y: up(v) + 4 }, label, "tick", "end");
  }
  text({ x: left, y: height - 3 }, "2 min ago", "tick", "start");
  text({ x: width - 6, y: height - 3 }, "now", "tick", "end");

  const seen = points.filter((p) => p.t > now - WINDOW);
  if (bars) {
    for (const p of seen.filter((p) => p[bars] > 0)) {
      const tall = Math.max(6, bottom - up(p[bars]));
      shapes.push(svg("rect", { x: x(p.t) - 2, y: bottom - tall, width: 4, height: tall, class: "failed" }));
    }
  }
  for (const [key, name, filled] of lines) {
    for (const run of runs(seen, key)) {
      const d = run.map((p, i) => `${i ? "L" : "M"}${x(p.t).toFixed(1)} ${up(p[key]).toFixed(1)}`).join("");
      if (filled && run.length > 1) {
        shapes.push(svg("path", { d: `${d}L${x(run.at(-1).t).toFixed(1)} ${bottom}L${x(run[0].t).toFixed(1)} ${bottom}Z`, class: "area " + name }));
      }
      shapes.push(svg("path", { d: run.length > 1 ? d : d + "h1.5", class: "curve " + name }));
    }
  }
  for (const m of labels) {
    const own = m.row < most;
    if (own) text({ x: m.at, y: m.row * row + 10 }, m.label, "word", "start");
    for (const l of m.lines) {
      const under = own ? above({ ...m, x: x(l.t) }, shown) : most - 1;
      const y1 = under < 0 ? m.row * row + 2 : (under + 1) * row;
      shapes.push(svg("line", { x1: x(l.t), x2: x(l.t), y1, y2: bottom, class: "event " + l.type }));
    }
  }
  chart.replaceChildren(...shapes);
}

// runs splits a line into stretches without gaps.
function runs(points, key) {
  const all = [];
  let run = null;
  for (const p of points) {
    if (!Number.isFinite(p[key])) {
      run = null;
      continue;
    }
    if (!run || p.t - run.at(-1).t > gap) all.push((run = []));
    run.push(p);
  }
  return all;
}

// describe puts what the charts show into words, for screen readers.
export function describe(points) {
  const last = points.at(-1);
  if (!last) return;
  const most = (key) => Math.round(Math.max(0, ...points.map((p) => p[key]).filter(Number.isFinite)));
  const slowest = Math.max(0, ...points.flatMap((p) => [p.reads99, p.writes99]).filter(Number.isFinite));
  byID("rate").setAttribute("aria-label", `Requests per second over the last two minutes: at most ${most("reads")} reads and ${most("writes")} writes`);
  byID("latency").setAttribute("aria-label", `Latency over the last two minutes: ${slowest ? `the highest p99 of a second was ${span(slowest)}` : "no requests"}`);
}
