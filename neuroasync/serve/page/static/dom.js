// Small pieces of the page.

export function made(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.textContent = text;
  return element;
}

/** A table row whose first cell heads it. */
export function rowOf(cells, tag) {
  const row = document.createElement("tr");
  row.append(
    ...cells.map((text, k) => {
      const cell = made(k ? tag : "th", "", text);
      if (cell.tagName === "TH") cell.scope = tag === "th" ? "col" : "row";
      return cell;
    }),
  );
  return row;
}
