// Finds faults in the layout of the page: texts that overlap or are cut off, marks of a drawing that run through its texts,
// and voids between panels. Returns a list of sentences, which is empty if there are none.
((panels, widest) => {
  const faults = [];
  const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
  const at = (r) => `${Math.round(r.left)},${Math.round(r.top)} to ${Math.round(r.right)},${Math.round(r.bottom)}`;

  // unseen tells texts that are off the screen on purpose, for screen readers.
  const unseen = (e) => e.closest("caption, .skip, .symbols, noscript, script, style, title") !== null;

  // clip returns the part of a text's box that its ancestors show, or null if it is scrolled away. A text that is cut off and
  // cannot be scrolled to is a fault.
  function clip(box, element, text) {
    let r = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
    for (let e = element; e !== null && e !== document.documentElement; e = e.parentElement) {
      const style = getComputedStyle(e), drawing = e.tagName === "svg";
      if (!drawing && style.overflowX === "visible" && style.overflowY === "visible") continue;
      const b = e.getBoundingClientRect();
      const scrolls = (o) => o === "auto" || o === "scroll";
      const wide = r.left < b.left - 1 || r.right > b.right + 1, high = r.top < b.top - 1 || r.bottom > b.bottom + 1;
      if (wide && !scrolls(style.overflowX) || high && !scrolls(style.overflowY)) {
        faults.push(`"${text}" at ${at(r)} is cut off by ${e.tagName.toLowerCase()}#${e.id || e.getAttribute("class")} at ${at(b)}`);
      }
      r = { left: Math.max(r.left, b.left), right: Math.min(r.right, b.right), top: Math.max(r.top, b.top), bottom: Math.min(r.bottom, b.bottom) };
      if (r.left >= r.right || r.top >= r.bottom) return null;
    }
    if (r.left < -1 || r.right > innerWidth + 1) faults.push(`"${text}" at ${at(r)} leaves the window of ${innerWidth}`);
    return r;
  }

  // Every visible line of text, by the box of its letters, which is lower than the line's own box.
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim(), element = node.parentElement;
    if (text === "" || unseen(element) || !element.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) continue;
      const letters = { left: box.left, right: box.right, top: box.top + box.height * 0.2, bottom: box.bottom - box.height * 0.2 };
      const seen = clip(letters, element, text);
      if (seen) lines.push({ ...seen, text, element });
    }
  }
  lines.forEach((a, i) => {
    for (const b of lines.slice(0, i)) if (meets(a, b)) faults.push(`"${a.text}" and "${b.text}" overlap at ${at(a)}`);
  });

  // The lines that mark a moment in a drawing run through none of its texts.
  for (const line of document.querySelectorAll("svg .event:is(line, path), svg .mark :is(line, path)")) {
    const stretches = line.tagName === "line" ? [[line.x1, line.y1, line.y2].map((v) => v.baseVal.value)]
      : [...line.getAttribute("d").matchAll(/M([\d.]+) ([\d.]+)V([\d.]+)/g)].map((m) => m.slice(1).map(Number));
    if (stretches.length === 0) faults.push(`a mark is no line: ${line.getAttribute("d")}`);
    const svg = line.ownerSVGElement, origin = svg.getBoundingClientRect();
    for (const [x, from, to] of stretches) {
      const r = { left: origin.left + x, right: origin.left + x, top: origin.top + from, bottom: origin.top + to };
      for (const t of lines) {
        if (svg.contains(t.element) && r.left > t.left && r.left < t.right && r.top < t.bottom && t.top < r.bottom) {
          faults.push(`a mark at ${Math.round(x)} runs through "${t.text}" at ${at(t)}`);
        }
      }
    }
  }

  // Panels do not overlap. Each is followed closely by the next, or by the end of the page.
  const boxes = [...document.querySelectorAll(panels)].filter((e) => e.checkVisibility())
    .map((e) => ({ name: e.id || e.className || e.textContent.trim().slice(0, 20), box: e.getBoundingClientRect() })).filter((p) => p.box.height > 0);
  const end = Math.max(...boxes.map((p) => p.box.bottom));
  boxes.forEach((a, i) => {
    for (const b of boxes.slice(0, i)) if (meets(a.box, b.box)) faults.push(`${a.name} and ${b.name} overlap`);
    const below = boxes.filter((b) => b !== a && b.box.left < a.box.right - 1 && a.box.left < b.box.right - 1 && b.box.top > a.box.bottom - 1);
    const gap = Math.min(end, ...below.map((b) => b.box.top)) - a.box.bottom;
    if (gap > widest) faults.push(`below ${a.name} is a void of ${Math.round(gap)} pixels`);
  });
  if (boxes.length < 3) faults.push(`only ${boxes.length} panels: ${panels}`);
  if (lines.length < 20) faults.push(`only ${lines.length} lines of text`);
  return faults;
})
