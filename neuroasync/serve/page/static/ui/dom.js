// Helpers that create elements.

export function createElement(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.textContent = text;
  return element;
}

/** Create a table row whose first cell is its header. */
export function tableRow(cells, tag) {
  const row = document.createElement("tr");
  row.append(
    ...cells.map((text, k) => {
      const cell = createElement(k ? tag : "th", "", text);
      if (cell.tagName === "TH") cell.scope = tag === "th" ? "col" : "row";
      return cell;
    }),
  );
  return row;
}
