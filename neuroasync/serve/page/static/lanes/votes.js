// The votes of one lane: class names left of the raster, counts and bars right of it.

import { createElement } from "./dom.js";

export class Votes {
  constructor({ classes, output }) {
    this._items = classes.map((name) => {
      const item = createElement("li", "", "");
      const scale = createElement("span", "scale", "");
      scale.append(createElement("span", "bar none", ""), createElement("span", "lead", ""));
      const label = createElement("span", "visually-hidden", `${name}:`);
      item.append(label, createElement("span", "value", "0"), scale);
      return item;
    });
    this._names = classes.map((name) => createElement("li", "", name));
    this.names = createElement("ul", "names", "");
    this.names.setAttribute("aria-hidden", "true"); // the list of votes has the names, too
    this.names.append(...this._names);
    this.list = createElement("ol", "votes", "");
    this.list.setAttribute("aria-label", `Votes so far (${output})`);
    this.list.append(...this._items);
  }

  /** Show the votes at a moment. The widest bar stands for the maximum at the end of the run. */
  show(trace, moment) {
    const leader = trace ? trace.leaderAt(moment) : -1;
    const votes = trace ? trace.votesAt(moment) : this._items.map(() => 0);
    const maximum = Math.max(1, ...(trace ? trace.decision.votes : []));
    this._items.forEach((item, c) => {
      const find = (selector) => item.querySelector(selector);
      const [bar, value, lead] = [".bar", ".value", ".lead"].map(find);
      bar.style.setProperty("--share", votes[c] / maximum);
      bar.classList.toggle("none", votes[c] === 0);
      value.textContent = votes[c];
      lead.textContent = c === leader ? "leads" : "";
      for (const element of [item, this._names[c]]) element.classList.toggle("leads", c === leader);
    });
  }
}
