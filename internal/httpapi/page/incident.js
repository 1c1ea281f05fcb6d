// The latest loss of a VM, step by step, from the timeline alone: a page opened later shows the same.

const soon = 10_000; // milliseconds within which a suspicion belongs to the loss that follows it
const flaps = 30_000; // milliseconds: a node lost again this soon after its return has not returned

// follow reads the events, oldest first. It returns null if no node was down, or
// {vm, zero, suspect, down, promoted, heirs, covered, resumed, waited, back, rebalanced}, times in milliseconds.
export function follow(events) {
  let i = null;
  const suspects = new Map(), stalls = new Map();
  for (const e of events) {
    const t = Date.parse(e.time);
    const ours = i !== null && i.vm === e.vm;
    switch (e.type) {
      case "node-suspect":
        suspects.set(e.node, t);
        break;
      case "node-down":
        if (ours && i.back && t - i.back < flaps) i.back = 0;
        if (!ours || i.back) {
          const suspect = t - suspects.get(e.node) < soon ? suspects.get(e.node) : 0;
          i = { vm: e.vm, zero: suspect || t, suspect, down: t, promoted: 0, heirs: [], covered: 0, uncovered: 0, resumed: 0, back: 0, rebalanced: 0 };
          i.lost = new Set();
          i.stalled = new Set([...stalls].filter(([, at]) => at >= i.zero).map(([shard]) => shard));
          i.waited = i.stalled.size > 0;
        }
        i.lost.add(e.node);
        break;
      case "node-up":
      case "node-left":
        if (ours && i.lost.delete(e.node) && i.lost.size === 0) i.back = t;
        break;
      case "promoted":
        if (i && !i.back && !ours) {
          i.promoted = t;
          i.heirs.push(e.node);
          if (!i.uncovered) i.covered = t;
        }
        break;
      case "slots-uncovered":
        if (i && !i.back) [i.uncovered, i.covered] = [t, 0];
        break;
      case "slots-covered":
        if (i && i.uncovered && !i.covered) i.covered = t;
        break;
      case "writes-stalled":
        stalls.set(e.shard, t);
        if (i && !i.back) {
          i.stalled.add(e.shard);
          [i.waited, i.resumed] = [true, 0];
        }
        break;
      case "writes-resumed":
        stalls.delete(e.shard);
        if (i && i.stalled.delete(e.shard) && i.stalled.size === 0) i.resumed = t;
        break;
      case "rebalanced":
        if (i) i.rebalanced = t;
        break;
    }
  }
  return i;
}

// steps returns what to show: {key, name, at, note}. at is 0 for a step that has not happened; note says why it need not.
export function steps(i, balanced) {
  const heirs = i.heirs.map((n) => n.split(".")[0]).join(", ");
  return [
    { key: "suspect", name: "Suspect", at: i.suspect },
    { key: "down", name: "Down", at: i.down },
    { key: "promoted", name: heirs ? `${heirs} promoted` : "Promotion", at: i.promoted, note: i.back ? "none" : "" },
    { key: "covered", name: "Slots covered", at: i.covered, note: i.back && !i.uncovered ? "never uncovered" : "" },
    { key: "resumed", name: "Writes resumed", at: i.resumed, note: !i.waited && (i.promoted || i.back) ? "never stalled" : "" },
    { key: "back", name: `${i.vm} back`, at: i.back },
    { key: "rebalanced", name: "Rebalanced", at: i.rebalanced, note: i.back && balanced ? "not needed" : "" },
  ].map((s) => (s.at ? { ...s, note: "" } : s));
}
