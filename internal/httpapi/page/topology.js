// The VMs with their nodes, the slots, the shards, and the same as a table.

import { byID, element, icon, keyed, mark, say, setIcon } from "./dom.js";
import { SLOTS, condition, copy, countSlots, holdsSlots, isMaster, machines, plural, ranges, sayMachine, sayRanges, seconds, short, span } from "./words.js";

// drawTopology shows the answer of GET /v1/cluster.
export function drawTopology(c) {
  const vms = machines(c);
  drawMachines(c, vms);
  drawSlots(c);
  drawTable(vms);
  drawShards(c);
}

function drawMachines(c, vms) {
  const parent = byID("vms");
  mark(parent, "count", String(vms.length));
  keyed(parent, vms, (vm) => vm.name, makeMachine).forEach((e, i) => {
    const vm = vms[i], state = sayMachine(vm);
    mark(e, "tone", state.tone);
    setIcon(e.parts.icon, state.tone);
    say(e.parts.word, state.word);
    keyed(e.parts.nodes, vm.nodes, (n) => n.node, makeCard).forEach((card, j) => fillCard(card, vm.nodes[j], c));
  });
}

function makeMachine(vm) {
  const parts = { icon: icon("good"), word: element("span", "word"), nodes: element("div", "nodes") };
  const name = element("h3", "", vm.name);
  const e = element("article", "vm", element("header", "", name, element("p", "state", parts.icon, parts.word)), parts.nodes);
  e.parts = parts;
  return e;
}

function makeCard(n) {
  const parts = { role: icon("master"), badge: icon("good"), word: element("span"), what: element("p", "what"), rows: {} };
  const facts = element("dl");
  for (const name of ["Slots", "Copy", "Cluster says", "Last answer", "Epoch"]) {
    const value = element("dd");
    const row = element("div", "", element("dt", "", name), value);
    parts.rows[name] = { row, value };
    facts.append(row);
  }
  const e = element("section", "node",
    element("header", "", parts.role, element("h4", "", short(n.node, n.vm)), element("p", "state", parts.badge, parts.word)),
    parts.what, facts);
  e.parts = parts;
  return e;
}

function fillCard(card, n, c) {
  const { role, badge, word, what, rows } = card.parts;
  const state = condition(n), replication = copy(n), owner = holdsSlots(n);
  mark(card, "tone", state.tone);
  mark(card, "role", n.role);
  setIcon(role, isMaster(n) ? "master" : "replica");
  setIcon(badge, state.tone);
  const silent = seconds(n.silence);
  say(word, n.state !== "well" && silent > 0 ? `${state.word}, silent ${span(silent)}` : state.word);
  if (isMaster(n)) {
    say(what, owner ? `Master of ${plural(countSlots(n.slots), "slot")}` : "Master without slots");
  } else {
    say(what, `Replica of ${n.master ?? "an unknown master"}`);
  }
  const show = (name, text, tone = "good") => {
    rows[name].row.hidden = text === "";
    say(rows[name].value, text);
    mark(rows[name].row, "tone", tone);
  };
  show("Slots", owner ? sayRanges(n.slots) : "");
  show("Copy", replication.word, replication.tone);
  show("Cluster says", n.health, n.health === "ok" ? "good" : "warn");
  show("Last answer", n.state === "well" ? "" : n.answered_at ? time(n.answered_at) : "never", "warn");
  show("Epoch", String(n.epoch));
  card.title = `${n.node}, ${n.addr}`;
}

// time formats a moment on the reader's clock.
export function time(text, millis = false) {
  const t = new Date(text);
  const clock = [t.getHours(), t.getMinutes(), t.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
  return millis ? clock + "." + String(t.getMilliseconds()).padStart(3, "0") : clock;
}

// drawSlots shows who owns which slots, in order. Slots that nobody owns are shown as such.
function drawSlots(c) {
  const parts = [];
  for (const n of c.nodes.filter(holdsSlots)) {
    const tone = condition(n).tone;
    for (const r of ranges(n.slots)) parts.push({ ...r, n, tone });
  }
  parts.sort((a, b) => a.first - b.first);
  const all = [];
  let next = 0;
  for (const p of parts) {
    if (p.first > next) all.push({ first: next, last: p.first - 1, tone: "bad" });
    all.push(p);
    next = p.last + 1;
  }
  if (next < SLOTS) all.push({ first: next, last: SLOTS - 1, tone: "bad" });
  const name = (p) => (p.n ? short(p.n.node, p.n.vm) : "nobody");
  keyed(byID("slots"), all, (p) => `${p.first}-${p.last}`, () => element("span", "", element("b"), element("i"))).forEach((e, i) => {
    const p = all[i];
    e.style.flexGrow = String(p.last - p.first + 1);
    mark(e, "tone", p.tone);
    say(e.firstChild, name(p));
    say(e.lastChild, `${p.first}–${p.last}`);
    e.title = `${p.first}–${p.last}: ${p.n ? p.n.node : "nobody"}`;
  });
  const words = all.map((p) => `${p.first} to ${p.last}: ${p.n ? p.n.node : "nobody"}${p.tone === "good" ? "" : ", not well"}`);
  const label = `${c.slots_covered} of ${SLOTS} slots covered. ${words.join("; ")}`;
  if (byID("slots").getAttribute("aria-label") !== label) byID("slots").setAttribute("aria-label", label);
  mark(byID("slots"), "covered", String(c.slots_covered));
}

function drawTable(vms) {
  const nodes = vms.flatMap((vm) => vm.nodes);
  const body = byID("nodes").tBodies[0];
  const make = (n) => {
    const head = element("th", "", n.node);
    head.scope = "row";
    return element("tr", "", head, ...Array.from({ length: 7 }, () => element("td")));
  };
  keyed(body, nodes, (n) => n.node, make).forEach((row, i) => {
    const n = nodes[i];
    const slots = holdsSlots(n) ? `${sayRanges(n.slots)} (${countSlots(n.slots)})` : "–";
    const role = isMaster(n) ? "master" : `replica of ${n.master ?? "?"}`;
    const seen = n.state === "well" ? "well" : `${n.state}, silent ${span(seconds(n.silence))}`;
    [n.vm, role, slots, seen, n.health, copy(n).word || "–", String(n.epoch)].forEach((text, j) => say(row.cells[j + 1], text));
  });
}

const stalledSince = new Map(); // by shard, in this browser's time

function drawShards(c) {
  const most = Math.max(20, ...c.shards.map((s) => s.writes));
  const make = () => {
    const e = element("li", "", icon("good"), element("span", "name"), element("b", "count"), element("span", "bar", element("i")), element("span", "word"));
    return e;
  };
  keyed(byID("shards"), c.shards, (s) => s.shard, make).forEach((e, i) => {
    const s = c.shards[i];
    const [sign, name, count, bar, word] = e.children;
    const master = c.nodes.find((n) => n.addr === s.master);
    if (!s.stalled) stalledSince.delete(s.shard);
    else if (!stalledSince.has(s.shard)) stalledSince.set(s.shard, Date.now());
    mark(e, "tone", s.stalled ? "warn" : "good");
    setIcon(sign, s.stalled ? "wait" : "good");
    say(name, `to ${master ? short(master.node, master.vm) : s.master}`);
    say(count, String(s.writes));
    bar.firstChild.style.width = `${Math.round((100 * s.writes) / most)}%`;
    const waited = s.stalled ? (Date.now() - stalledSince.get(s.shard)) / 1000 : 0;
    say(word, s.stalled ? `waiting${waited >= 1 ? " for " + span(waited) : ""}` : "flowing");
  });
}
