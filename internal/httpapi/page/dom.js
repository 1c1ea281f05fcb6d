// Helpers that build the page. Text from the service only ever becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

export const byID = (id) => document.getElementById(id);

// element creates one: element("p", "title", "text", child, ...).
export function element(tag, name, ...children) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  e.append(...children);
  return e;
}

export function svg(tag, attributes = {}) {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

// icon shows one of the symbols in index.html. It repeats what the words beside it say.
export function icon(symbol) {
  const e = svg("svg", { class: "icon", "aria-hidden": "true" });
  e.append(svg("use", { href: "#" + symbol }));
  return e;
}

export function setIcon(e, symbol) {
  const use = e.firstElementChild;
  if (use.getAttribute("href") !== "#" + symbol) use.setAttribute("href", "#" + symbol);
}

// say changes a text only if it differs, so that selections stay and nothing is announced twice.
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

export function mark(e, name, value) {
  if (e.dataset[name] !== value) e.dataset[name] = value;
}

// keyed makes the children of a list match the items by key, in order. It keeps the elements that exist.
export function keyed(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  const children = items.map((item) => {
    const key = keyOf(item);
    let e = old.get(key);
    if (!e) {
      e = make(item);
      e.dataset.key = key;
    }
    old.delete(key);
    return e;
  });
  for (const e of old.values()) e.remove();
  children.forEach((e, i) => {
    if (parent.children[i] !== e) parent.insertBefore(e, parent.children[i] ?? null);
  });
  return children;
}
