// The timeline of the instance's events, and the steps of the last failover.

import { byID, element, icon, keyed, mark, say, setIcon } from "./dom.js";
import { follow, steps } from "./incident.js";
import { time } from "./topology.js";
import { span } from "./words.js";

const shown = 200; // events in the list
const kept = 1000; // as many as the service keeps
const again = 5000; // milliseconds before a refused stream is requested again

// kinds are the types of events: a name, a symbol and a tone for each.
const kinds = {
  "node-suspect": ["Suspect", "warn", "warn"],
  "node-down": ["Down", "bad", "bad"],
  "node-failed": ["Marked failed", "bad", "bad"],
  "node-up": ["Node back", "good", "good"],
  "node-joined": ["Joined", "info", "info"],
  "node-left": ["Left", "info", "warn"],
  "promoted": ["Promoted", "rise", "rise"],
  "rebalanced": ["Rebalanced", "good", "good"],
  "slots-uncovered": ["Slots uncovered", "bad", "bad"],
  "slots-covered": ["Slots covered", "good", "good"],
  "slots-moved": ["Slots moved", "ask", "info"],
  "topology-adopted": ["Topology adopted", "info", "info"],
  "writes-stalled": ["Writes stalled", "wait", "warn"],
  "writes-resumed": ["Writes resumed", "good", "good"],
  "failover-asked": ["Failover requested", "ask", "rise"],
  "failover-forced": ["Failover forced", "ask", "rise"],
  "lease-granted": ["Lease granted", "good", "info"],
  "lease-refused": ["Lease refused", "bad", "warn"],
  "mark-made": ["Replica marked", "warn", "warn"],
  "mark-refused": ["Mark refused", "bad", "warn"],
  "clock-stepped": ["Clock set", "warn", "warn"],
  "node-failing": ["Cause", "warn", "warn"],
  "foreign-node": ["Foreign node", "bad", "bad"],
  "promise-broken": ["Promise broken", "bad", "bad"],
  "finding": ["Finding", "warn", "warn"],
  "finding-gone": ["Finding gone", "good", "good"],
};

// listen follows the timeline and calls heard after each event. It returns the events, oldest first.
export function listen(heard) {
  const events = [];
  let boot = "", last = 0;
  const take = (message) => {
    const e = JSON.parse(message.data);
    const [from, number] = e.id.split("-");
    if (from !== boot) { // the instance restarted, or another one answers here
      if (boot) byID("events").replaceChildren();
      say(byID("events-state"), boot ? "of another instance, or of this one since it restarted" : "");
      events.length = 0;
      [boot, last] = [from, 0];
    }
    if (Number(number) <= last) return; // sent again after a reconnect
    last = Number(number);
    events.push(e);
    if (events.length > kept) events.shift();
    show(e);
    heard(e);
  };
  const open = () => {
    const stream = new EventSource("v1/cluster/events"); // which reconnects by itself, from the last ID on
    for (const type of Object.keys(kinds)) stream.addEventListener(type, take);
    stream.onopen = () => mark(byID("events"), "stream", "open");
    stream.onerror = () => {
      mark(byID("events"), "stream", "lost");
      if (stream.readyState === EventSource.CLOSED) setTimeout(open, again);
    };
  };
  open();
  return events;
}

function show(e) {
  const [name, symbol, tone] = kinds[e.type];
  const clock = element("time", "", time(e.time, true));
  clock.dateTime = e.time;
  const entry = element("li", "", clock, icon(symbol), element("p", "", element("b", "", name), " ", element("span", "", e.text)));
  entry.dataset.tone = tone;
  entry.dataset.type = e.type;
  entry.dataset.node = e.node ?? "";
  entry.title = new Date(e.time).toString();
  const list = byID("events");
  list.prepend(entry);
  if (list.children.length > shown) list.lastElementChild.remove();
}

// drawIncident shows the steps of the last failover. The cluster says whether the VMs are balanced, complete whether all slots are covered.
export function drawIncident(events, cluster, complete) {
  const i = follow(events);
  byID("incident-none").hidden = i !== null;
  byID("steps").hidden = i === null;
  if (!i) {
    say(byID("incident-title"), "Last failover");
    return;
  }
  const balanced = Object.values(cluster.masters_per_vm).every((n) => n < 2);
  if (!complete) i.covered = 0;
  say(byID("incident-title"), `${i.back ? "Last failover" : "Failover"}: ${i.vm} was lost at ${time(new Date(i.zero).toISOString())}`);
  const all = steps(i, balanced);
  const next = all.find((s) => !s.at && !s.note);
  const make = () => element("li", "", icon("good"), element("span", "name"), element("span", "at"));
  keyed(byID("steps"), all, (s) => s.key, make).forEach((e, at) => {
    const s = all[at];
    const [sign, name, when] = e.children;
    mark(e, "state", s.at ? "done" : s.note ? "needless" : s === next ? "next" : "open");
    setIcon(sign, s.at ? { suspect: "warn", down: "bad", promoted: "rise" }[s.key] ?? "good" : s === next ? "wait" : "info");
    say(name, s.name);
    say(when, s.at ? (s.at === i.zero ? "0 s" : `+${span((s.at - i.zero) / 1000)}`) : s.note || (s === next ? "waiting" : "–"));
  });
}
