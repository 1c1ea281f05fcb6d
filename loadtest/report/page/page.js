"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  const readout = document.getElementById("readout");
  const seconds = data.timeline || [], marks = data.marks || [], events = data.events || [];
  const left = 56, right = 12, row = 18, gap = 40;
  const end = Math.max(1000, data.lasted_ms, ...seconds.map((s) => s.at_ms + 1000 * s.span_s), ...marks.map((m) => m.at_ms));

  function node(name, attributes, parent, text) {
    const n = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) n.setAttribute(key, value);
    if (text !== undefined) n.textContent = text;
    if (parent) parent.append(n);
    return n;
  }

  const round = (x) => Math.round(x * 10) / 10;

  function duration(ms) {
    if (ms >= 10000) return round(ms / 1000) + " s";
    if (ms >= 1000) return Math.round(ms / 10) / 100 + " s";
    return (ms >= 10 ? Math.round(ms) : Math.round(ms * 100) / 100) + " ms";
  }

  function clock(ms) {
    const s = Math.round(ms / 1000);
    if (end < 180e3) return s + " s";
    const two = (n) => String(n).padStart(2, "0");
    return end < 3600e3 ? Math.floor(s / 60) + ":" + two(s % 60) : Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60);
  }

  // The smallest round step that leaves room for the labels of the time axis.
  function timeStep(width) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
    return 1000 * (steps.find((s) => (width * s * 1000) / end >= 50) || 86400);
  }

  // A round number above the largest rate.
  function ceiling(x) {
    const p = 10 ** Math.floor(Math.log10(Math.max(x, 1)));
    return [1, 2, 2.5, 5, 10].map((m) => m * p).find((y) => y >= x);
  }

  // Gives each label the place of its text, beside its mark, and the first row in which it meets no other. Returns the
  // number of rows.
  function place(labels, edge) {
    const rows = [];
    for (const l of labels) {
      l.at = l.x + 4;
      if (l.at + l.width > edge) l.at = l.x - 4 - l.width;
      if (l.at < 0) l.at = Math.max(0, Math.min(l.x + 4, edge - l.width));
      const free = (others) => others.every((o) => o.at + o.width + 8 <= l.at || l.at + l.width + 8 <= o.at);
      l.row = rows.findIndex(free);
      if (l.row < 0) l.row = rows.push([]) - 1;
      rows[l.row].push(l);
    }
    return rows.length;
  }

  // Returns the path of a mark's line: down from its label, or from below the labels that it would run through, and through
  // each field. It leaves out the titles and keys between the fields.
  function markLine(label, labels, lane, fields) {
    const over = labels.filter((l) => l.row >= label.row && l.at - 2 < label.x && label.x < l.at + l.width + 2);
    const top = over.length ? Math.max(...over.map((l) => l.row + 1)) * row : label.row * row + 4;
    return [[top, lane], ...fields].map(([from, to]) => "M" + round(label.x) + " " + from + "V" + to).join("");
  }

  function measure(svg, text) {
    const probe = node("text", { class: "title" }, svg, text);
    const width = probe.getComputedTextLength();
    probe.remove();
    return width;
  }

  function draw() {
    const width = chart.clientWidth;
    if (width < 100) return;
    chart.replaceChildren();
    const svg = node("svg", { width, role: "img", "aria-label": summary() }, chart);
    const inner = width - left - right;
    const x = (ms) => left + (inner * ms) / end;

    const labels = marks.map((m) => {
      const text = m.label + " " + duration(m.at_ms);
      return { mark: m, text, width: measure(svg, text), x: x(m.at_ms) };
    });
    let y = place(labels, width - right) * row + 14;
    const lane = y - 4;
    const fields = []; // from top to bottom
    for (const of of ["reads", "writes"]) {
      const name = of[0].toUpperCase() + of.slice(1);
      const rates = y + 26, latencies = rate(svg, name, of, x, rates, 90, width) + gap;
      const end = latency(svg, name, of, x, latencies, 120, width);
      fields.push([rates, latencies - gap], [latencies, end]);
      y = end + gap - 8;
    }
    const bottom = y - gap + 8;
    const step = timeStep(inner);
    for (let t = 0; t <= end; t += step) {
      node("text", { x: x(t), y: bottom + 18, "text-anchor": t === 0 ? "start" : x(t) > width - right - 20 ? "end" : "middle" }, svg, clock(t));
    }
    svg.setAttribute("height", bottom + 26);

    for (const e of events) {
      if (e.at_ms < 0 || e.at_ms > end) continue;
      const dot = node("circle", { class: "event", cx: x(e.at_ms), cy: lane, r: 3 }, svg);
      node("title", {}, dot, duration(e.at_ms) + " " + e.type + ": " + e.text + " (" + e.instance + ")");
    }
    for (const l of labels) {
      const g = node("g", { class: "mark " + l.mark.kind, "data-kind": l.mark.kind }, svg);
      node("path", { d: markLine(l, labels, lane + 6, fields) }, g);
      node("text", { x: l.at, y: l.row * row + 14 }, g, l.text);
    }
    follow(svg, x, lane, bottom, inner);
  }

  function summary() {
    return "Rates, failures and latencies of reads and writes over time. " + marks.map((m) => m.label + " at " + duration(m.at_ms)).join("; ");
  }

  function panelTitle(svg, y, name, entries, width) {
    node("text", { class: "title", x: 0, y: y - 8 }, svg, name);
    let at = width - right;
    for (const [kind, label, shape] of entries.slice().reverse()) {
      const t = node("text", { x: at, y: y - 8, "text-anchor": "end" }, svg, label);
      at -= t.getComputedTextLength() + 16;
      if (shape === "line") node("line", { class: kind, x1: at, x2: at + 12, y1: y - 12, y2: y - 12 }, svg);
      else node("rect", { class: kind, x: at + 2, y: y - 17, width: 10, height: 10 }, svg);
      at -= 8;
    }
  }

  // Bars: answered, failed and not sent, on top of one another.
  function rate(svg, name, of, x, y, height, width) {
    panelTitle(svg, y, width < 520 ? name + "/s" : name + " per second",
      [["answered", "good"], ["failed", "failed"], ["unsent", "not sent"]], width);
    const most = ceiling(Math.max(1, ...seconds.map((s) => (s[of].count + s[of].not_sent) / s.span_s)));
    const scale = (n) => (height * n) / most;
    for (const tick of [0, most / 2, most]) {
      node("line", { class: "grid", x1: left, x2: width - right, y1: y + height - scale(tick), y2: y + height - scale(tick) }, svg);
      node("text", { x: left - 6, y: y + height - scale(tick) + 4, "text-anchor": "end" }, svg, tick);
    }
    for (const s of seconds) {
      const from = x(s.at_ms), w = Math.max(0.5, x(s.at_ms + 1000 * s.span_s) - from - (seconds.length < 200 ? 1 : 0));
      let top = y + height;
      for (const [kind, n] of [["answered", s[of].count - s[of].failed], ["failed", s[of].failed], ["unsent", s[of].not_sent]]) {
        if (n <= 0) continue;
        const h = Math.max(kind === "answered" ? 0 : 2, scale(n / s.span_s)); // a single failure is seen
        top -= h;
        node("rect", { class: kind, x: from, y: top, width: w, height: h }, svg);
      }
    }
    return y + height;
  }

  // Lines on a logarithmic scale.
  function latency(svg, name, of, x, y, height, width) {
    panelTitle(svg, y, width < 520 ? name : name + ", latency from the intended start",
      [["p50", "p50", "line"], ["p99", "p99", "line"], ["max", "max", "line"]], width);
    const values = seconds.filter((s) => s[of].count > 0);
    const low = Math.floor(Math.log10(Math.max(0.01, Math.min(1, ...values.map((s) => s[of].p50_ms)))));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(10, ...values.map((s) => s[of].max_ms)))));
    const scale = (ms) => y + height - (height * (Math.log10(Math.max(ms, 10 ** low)) - low)) / (high - low);
    for (let e = low; e <= high; e++) {
      node("line", { class: "grid", x1: left, x2: width - right, y1: scale(10 ** e), y2: scale(10 ** e) }, svg);
      node("text", { x: left - 6, y: scale(10 ** e) + 4, "text-anchor": "end" }, svg, duration(10 ** e));
    }
    for (const kind of ["max", "p99", "p50"]) {
      let path = "", broken = true;
      for (const s of seconds) {
        if (s[of].count === 0) { broken = true; continue; }
        const at = round(x(s.at_ms + 500 * s.span_s)) + " " + round(scale(s[of][kind + "_ms"]));
        path += (broken ? "M" + at + "h0" : "L" + at);
        broken = false;
      }
      if (path) node("path", { class: kind, d: path }, svg);
    }
    return y + height;
  }

  // Shows the numbers of the second under the pointer.
  function follow(svg, x, top, bottom, inner) {
    const line = node("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" }, svg);
    svg.addEventListener("pointermove", (p) => {
      const ms = ((p.clientX - svg.getBoundingClientRect().left - left) / inner) * end;
      const s = seconds.find((s) => ms >= s.at_ms && ms < s.at_ms + 1000 * s.span_s);
      line.setAttribute("visibility", s ? "visible" : "hidden");
      if (!s) return;
      line.setAttribute("x1", x(ms));
      line.setAttribute("x2", x(ms));
      const tell = (name, of) => name + " " + of.count + ", failed " + of.failed + (of.not_sent ? ", not sent " + of.not_sent : "") +
        ", p50 " + duration(of.p50_ms) + ", p99 " + duration(of.p99_ms) + ", max " + duration(of.max_ms);
      readout.textContent = "from " + duration(s.at_ms) + ": " + tell("reads", s.reads) + "; " + tell("writes", s.writes);
    });
    svg.addEventListener("pointerleave", () => line.setAttribute("visibility", "hidden"));
  }

  let drawn = 0;
  new ResizeObserver(() => {
    if (chart.clientWidth !== drawn) {
      drawn = chart.clientWidth;
      draw();
    }
  }).observe(chart);
})();
