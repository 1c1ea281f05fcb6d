// Places the labels of a drawing's marks. Nothing here touches the page.

const beside = 4; // between a mark and its label
const apart = 8; // between two labels

// place gives each label {x, width} of a mark at x the left end of its text, at, and a row: the first in which it meets none
// of the labels before it in the list. The text is to the right of its mark, or to its left if it would leave the drawing.
export function place(labels, left, right) {
  for (const l of labels) {
    l.at = l.x + beside;
    if (l.at + l.width > right) l.at = l.x - beside - l.width;
    if (l.at < left) l.at = Math.max(left, Math.min(l.x + beside, right - l.width));
  }
  const rows = [];
  for (const l of labels) {
    const free = (row) => row.every((o) => o.at + o.width + apart <= l.at || l.at + l.width + apart <= o.at);
    l.row = rows.findIndex(free);
    if (l.row < 0) l.row = rows.push([]) - 1;
    rows[l.row].push(l);
  }
}

// above returns the lowest row with a label that a mark's line, down from its own label, would run through. -1 if there is none.
export function above(mark, labels) {
  const over = labels.filter((l) => l.row >= mark.row && l.at - 2 < mark.x && mark.x < l.at + l.width + 2);
  return Math.max(-1, ...over.map((l) => l.row));
}
