// The votes of one lane, class by class: names left of the raster, counts and bars right of it.

import { made } from "./dom.js";

export class Votes {
  constructor({ classes, output }) {
    this._items = classes.map((name) => {
      const item = made("li", "", "");
      const scale = made("span", "scale", "");
      scale.append(made("span", "bar none", ""), made("span", "lead", ""));
      item.append(made("span", "visually-hidden", `${name}:`), made("span", "value", "0"), scale);
      return item;
    });
    this._names = classes.map((name) => made("li", "", name));
    this.names = made("ul", "names", "");
    this.names.setAttribute("aria-hidden", "true"); // the list of votes names them, too
    this.names.append(...this._names);
    this.list = made("ol", "votes", "");
    this.list.setAttribute("aria-label", `Votes so far (${output})`);
    this.list.append(...this._items);
  }

  /** Show the votes of a moment; the widest bar is what the class with most will come to. */
  show(trace, moment) {
    const leader = trace ? trace.leaderAt(moment) : -1;
    const votes = trace ? trace.votesAt(moment) : this._items.map(() => 0);
    const most = Math.max(1, ...(trace ? trace.decision.votes : []));
    this._items.forEach((item, c) => {
      const [bar, value, lead] = [".bar", ".value", ".lead"].map((of) => item.querySelector(of));
      bar.style.setProperty("--share", votes[c] / most);
      bar.classList.toggle("none", votes[c] === 0);
      value.textContent = votes[c];
      lead.textContent = c === leader ? "leads" : "";
      for (const element of [item, this._names[c]]) element.classList.toggle("leads", c === leader);
    });
  }
}
