// The answer of /v1/cluster in plain words. Nothing here touches the page.

export const SLOTS = 16384;

// seconds reads a duration as Go writes it: "1m2.5s", "120ms".
export function seconds(text) {
  const units = { h: 3600, m: 60, s: 1, ms: 1e-3, "µs": 1e-6, us: 1e-6, ns: 1e-9 };
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)(ms|µs|us|ns|h|m|s)/g)) sum += Number(number) * units[unit];
  return sum;
}

// span formats a time in seconds.
export function span(s) {
  if (s < 0.00005) return "0 s";
  if (s < 0.0995) return (s * 1000).toFixed(s < 0.00995 ? 1 : 0) + " ms";
  if (s < 10) return s.toFixed(2) + " s";
  if (s < 60) return s.toFixed(0) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  return s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " days";
}

// sayQuantile says a quantile of a histogram: {above, upTo, estimate}. Where a bucket has one bound only, the estimate says nothing.
export function sayQuantile({ above, upTo, estimate }) {
  const words = above === 0 ? "< " + span(upTo) : upTo === Infinity ? "> " + span(above) : span(estimate);
  return words.replaceAll(" ", "\u00a0"); // no line breaks in it
}

export function bytes(n) {
  if (n < 1024) return n + " B";
  return n < 1 << 20 ? (n / 1024).toFixed(1) + " KiB" : (n / (1 << 20)).toFixed(1) + " MiB";
}

export function list(words) {
  return words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words.at(-1);
}

export const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

// ranges reads "0-5460 5470".
export const ranges = (text) =>
  text.split(" ").filter(Boolean).map((r) => {
    const [first, last] = r.split("-").map(Number);
    return { first, last: last ?? first };
  });

export const countSlots = (text) => ranges(text).reduce((n, r) => n + r.last - r.first + 1, 0);

export const sayRanges = (text) => ranges(text).map((r) => (r.first === r.last ? `${r.first}` : `${r.first}–${r.last}`)).join(", ");

// short drops the VM from "redis-2.vm2".
export const short = (name, vm) => (vm && name.endsWith("." + vm) ? name.slice(0, -vm.length - 1) : name);

const first = (name) => (/^[\d.:[\]]+$/.test(name) ? name : name.split(".")[0]);

export const isMaster = (n) => n.role === "master";

export const holdsSlots = (n) => isMaster(n) && n.slots !== "";

// condition is the state of a node as this instance sees it, or as the cluster sees it if that is worse.
export function condition(n) {
  if (n.state === "down") return { tone: "bad", word: "down" };
  if (n.state === "suspect") return { tone: "warn", word: "suspect" };
  if (n.health !== "ok") return { tone: "warn", word: n.health };
  return { tone: "good", word: "well" };
}

// copy says whether a replica has what its master has.
export function copy(n) {
  if (isMaster(n)) return { tone: "good", word: "" };
  const behind = n.lag_bytes === undefined ? "" : `, ${bytes(n.lag_bytes)} behind`;
  if (n.leased) return { tone: "good", word: "answers for its master" };
  if (n.lease_refused && n.state === "well") return { tone: "warn", word: `may not answer for its master: ${n.lease_refused}` };
  if (n.in_step) return { tone: "good", word: "in step" + behind };
  return { tone: "warn", word: (n.link_up ? "not in step" : "link down") + (n.link_up ? behind : "") };
}

// machines are the VMs with their nodes.
export function machines(c) {
  const byName = new Map();
  for (const n of c.nodes) {
    if (!byName.has(n.vm)) byName.set(n.vm, []);
    byName.get(n.vm).push(n);
  }
  const order = new Intl.Collator("en", { numeric: true });
  return [...byName].map(([name, nodes]) => {
    nodes.sort((a, b) => order.compare(a.node, b.node));
    const masters = nodes.filter(holdsSlots).length;
    return { name, nodes, masters, down: nodes.every((n) => n.state === "down") };
  }).sort((a, b) => order.compare(a.name, b.name));
}

// sayMachine sums up a VM in a word or two.
export function sayMachine(vm) {
  const masters = plural(vm.masters, "master");
  if (vm.down) return { tone: "bad", word: "down" };
  if (vm.masters > 1) return { tone: "warn", word: masters };
  const ill = vm.nodes.map(condition).find((c) => c.tone !== "good") ?? vm.nodes.map(copy).find((c) => c.tone !== "good");
  if (ill) return { tone: "warn", word: vm.nodes.some((n) => condition(n).tone !== "good") ? "degraded" : "catching up" };
  return { tone: "good", word: vm.masters === 1 ? "one master" : "no master" };
}

// verdict sums up the whole cluster for somebody who looks once. now is the service's clock, in milliseconds.
export function verdict(c, now) {
  if (!c.known) return { tone: "warn", title: "No node of the cluster has answered yet", more: "" };
  const vms = machines(c);
  const down = vms.filter((vm) => vm.down);
  const crowded = vms.filter((vm) => !vm.down && vm.masters > 1).map((vm) => vm.name);
  const ill = c.nodes.filter((n) => condition(n).tone !== "good" && !down.some((vm) => vm.name === n.vm));
  const behind = c.nodes.filter((n) => !isMaster(n) && condition(n).tone === "good" && !n.in_step).map((n) => first(n.node));
  const waiting = c.shards.filter((s) => s.stalled);
  const alone = c.nodes.filter((n) => holdsSlots(n) && n.state !== "down" && !c.nodes.some((r) => r.master === n.node && r.in_step && r.state !== "down"));
  const are = (names) => (names.length === 1 ? "is" : "are");
  const all = `all ${SLOTS} slots are covered`;
  const downNames = down.map((vm) => vm.name);
  const more = [];
  const oneCopy = () => {
    const names = alone.map((n) => first(n.node));
    if (names.length && c.nodes.length > 1) {
      more.push(`${list(names)} ${names.length === 1 ? "has" : "have"} no replica in step: writes there are acknowledged with one copy.`);
    }
  };

  const missing = SLOTS - c.slots_covered;
  if (missing > 0) {
    const title = down.length ? `${list(downNames)} ${are(down)} down: ${missing} slots wait for a new master` : `${missing} of ${SLOTS} slots have no working master`;
    return { tone: "bad", title, more: "Replicas that were in step still serve reads. Writes to these slots wait for a promotion." };
  }
  if (down.length) {
    const since = now - 1000 * Math.max(...down.flatMap((vm) => vm.nodes.map((n) => seconds(n.silence)))) - 2000;
    const heirs = c.shards.filter((s) => s.moved_at && Date.parse(s.moved_at) >= since);
    const names = heirs.map((s) => first(c.nodes.find((n) => n.addr === s.master)?.node ?? s.master));
    const slots = heirs.reduce((n, s) => n + s.slots, 0);
    const took = names.length ? `${list(names)} took over ${slots} slots, and ` : "";
    oneCopy();
    if (crowded.length) more.push(`${list(crowded)} ${crowded.length === 1 ? "holds" : "hold"} two masters until ${list(downNames)} ${are(down)} back and the cluster is rebalanced.`);
    return { tone: "warn", title: `${list(downNames)} ${are(down)} down: ${took}${all}`, more: more.join(" ") };
  }
  if (ill.length) {
    const names = ill.map((n) => `${first(n.node)} is ${condition(n).word}`);
    oneCopy();
    return { tone: "warn", title: `${list(names)}; ${all}`, more: more.join(" ") };
  }
  if (waiting.length) {
    return { tone: "warn", title: `Writes to ${list(waiting.map((s) => "shard " + s.shard))} are waiting`, more: "Every node is well, and " + all + "." };
  }
  if (crowded.length) {
    more.push(`Losing ${crowded[0]} now would lose the majority of masters.`);
    more.push(behind.length ? `Once ${list(behind)} ${are(behind)} in step again, run: sessiond cluster rebalance` : "Every replica is in step. Run: sessiond cluster rebalance");
    return { tone: "warn", title: `${list(crowded)} ${crowded.length === 1 ? "holds" : "hold"} two masters: rebalance`, more: `A${all.slice(1)}. ${more.join(" ")}` };
  }
  if (behind.length) return { tone: "warn", title: `${list(behind)} ${are(behind)} catching up; ${all}`, more: "A replica that is catching up does not count as a copy." };
  if (c.nodes.length === 1) return { tone: "good", title: `One node holds all ${SLOTS} slots`, more: "It has no replica." };
  const balanced = vms.every((vm) => vm.masters === 1) ? "every VM holds one master" : "no VM holds two masters";
  if (alone.length) {
    oneCopy();
    return { tone: "warn", title: `A${all.slice(1)}, but not every master has a replica`, more: more.join(" ") };
  }
  return { tone: "good", title: `A${all.slice(1)}, and ${balanced}`, more: "Every node is well, and every replica is in step." };
}
