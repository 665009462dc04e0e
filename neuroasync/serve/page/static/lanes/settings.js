// The settings of one lane: network, order, F, input mode and stop rule, with errors at the fields.

import { shortenRule } from "../ui/text.js";
import { shownRule } from "./presets.js";

const CUSTOM_RULE = "custom";
const MAX_GROUP_SIZE = 4096;
const LABELS = { policy: "Order", group_size: "F", until: "Stop rule", input: "Input" };

/** Dispatches "change" when the user has chosen valid settings. */
export class Settings extends EventTarget {
  constructor(template, name, networks) {
    super();
    this.element = template.content.firstElementChild.cloneNode(true);
    this._networks = networks;
    this._find = (selector) => this.element.querySelector(selector);
    this._error = this._find(".field-error");
    this._error.id = `settings-error-${name}`;
    this._find("legend").textContent = `Lane ${name}`;
    this._label(name);
    this._control("network").append(...networks.map((each) => new Option(each.name)));
    this._control("policy").append(...networks[0].policies.map((policy) => new Option(policy)));
    this._control("custom").placeholder = "margin(4,4,3)";
    this._fillRules();
    this.element.addEventListener("change", (event) => this._changed(event.target));
  }

  /** The description of the chosen network. */
  get about() {
    return this._networks.find(({ name }) => name === this._control("network").value);
  }

  /** Return the options of the run. */
  options() {
    const value = (option) => this._control(option).value;
    const until = value("until");
    return {
      network: value("network"),
      policy: value("policy"),
      group_size: Number(value("group_size")),
      input: value("input"),
      until: until === CUSTOM_RULE ? value("custom").trim() : until,
    };
  }

  /** Show these options. */
  set(options) {
    this._control("network").value = options.network;
    this._fillRules();
    for (const [option, value] of Object.entries(options)) this._control(option).value = value;
    this._showCustomRule();
    this.showError("");
  }

  /** Show an error of the server at the field that it names, or return false. */
  showServerError(message) {
    const option = Object.keys(LABELS).find((each) => message.startsWith(`\`${each}\``));
    if (!option) return false;
    const isCustom = option === "until" && this._control("until").value === CUSTOM_RULE;
    const text = message.replace(`\`${option}\``, LABELS[option]);
    this.showError(text, isCustom ? "custom" : option);
    return true;
  }

  /** Show an error at a field, or remove all errors if the message is empty. */
  showError(message, option = null) {
    this._error.textContent = message;
    for (const control of this.element.querySelectorAll("[data-option]")) {
      const isWrong = control.dataset.option === option;
      control.setAttribute("aria-invalid", String(isWrong));
      if (isWrong) control.setAttribute("aria-describedby", this._error.id);
      else control.removeAttribute("aria-describedby");
    }
  }

  _control(option) {
    return this._find(`[data-option="${option}"]`);
  }

  _label(name) {
    for (const field of this.element.querySelectorAll(".field")) {
      const [label, control] = [field.querySelector("label"), field.querySelector("[data-option]")];
      control.id = `${control.dataset.option}-${name}`;
      label.htmlFor = control.id;
      control.setAttribute("aria-label", `${label.textContent}, lane ${name}`);
    }
  }

  _fillRules() {
    const { about } = this;
    const rules = about.until.map((rule) => {
      const text = rule === "quiet" ? "when quiet" : shortenRule(rule);
      // The training chose this rule on validation samples.
      return new Option(rule === about.chosen_until ? `chosen: ${text}` : text, rule);
    });
    this._control("until").replaceChildren(...rules, new Option("custom", CUSTOM_RULE));
    this._control("until").value = shownRule(about);
  }

  _showCustomRule() {
    const isCustom = this._control("until").value === CUSTOM_RULE;
    this._find(".custom-rule").classList.toggle("unused", !isCustom);
    this._control("custom").disabled = !isCustom;
  }

  _changed(control) {
    if (control === this._control("network")) this._fillRules();
    this._showCustomRule();
    this.showError("");
    const text = this._control("group_size").value;
    const size = Number(text);
    if (!Number.isInteger(size) || size < 1 || size > MAX_GROUP_SIZE) {
      const found = text === "" ? "" : `, got ${text}`;
      this.showError(`F must be an integer from 1 to ${MAX_GROUP_SIZE}${found}`, "group_size");
      return;
    }
    if (this.options().until === "") {
      this.showError("Write a stop rule, such as margin(4,4,3)", "custom");
      return;
    }
    this.dispatchEvent(new Event("change"));
  }
}
