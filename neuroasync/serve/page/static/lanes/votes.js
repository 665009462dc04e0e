// The votes of one lane: class names left of the raster, counts and bars right of it.

import { createElement } from "../ui/dom.js";

export class Votes {
  constructor({ classes, output }, showsNames) {
    this.showsNames = showsNames;
    this._items = classes.map((name) => {
      const item = createElement("li", "", "");
      const label = createElement("span", "visually-hidden", `${name}:`);
      item.append(label, createElement("span", "value", "0"), createElement("span", "bar", ""));
      return item;
    });
    this._names = classes.map((name) => createElement("li", "", name));
    const names = createElement("ul", "label names", "");
    names.setAttribute("aria-hidden", "true"); // the list of votes has the names, too
    names.append(...this._names);
    const list = createElement("ol", showsNames ? "votes" : "votes visually-hidden", "");
    list.setAttribute("aria-label", `Votes so far (${output})`);
    list.append(...this._items);
    this.elements = showsNames ? [names, list] : [list];
  }

  /** Show the votes at a moment. The widest bar stands for the maximum at the end of the run. */
  show(trace, moment) {
    const leader = trace ? trace.leaderAt(moment) : -1;
    const votes = trace ? trace.votesAt(moment) : this._items.map(() => 0);
    const maximum = Math.max(1, ...(trace ? trace.decision.votes : []));
    this._items.forEach((item, c) => {
      item.querySelector(".bar").style.setProperty("--share", votes[c] / maximum);
      item.querySelector(".value").textContent = votes[c];
      for (const element of [item, this._names[c]]) element.classList.toggle("leads", c === leader);
    });
  }
}
