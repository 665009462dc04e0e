// The runs that a visitor can choose by name, made from the networks that the server offers.

const LAYERED = "layer-sync";

/** Return {id, title, options} for each preset that the networks allow. */
export function makePresets(networks) {
  const layered = networks.find(({ trained_for }) => trained_for.policy === LAYERED);
  const unlayered = networks.find(({ trained_for }) => trained_for.policy !== LAYERED);
  const anyOrder = unlayered?.trained_for.policy ?? "random";
  const presets = [preset("Layer by layer", layered ?? unlayered, LAYERED)];
  if (layered) presets.push(preset("Without layers, untrained for it", layered, anyOrder));
  if (unlayered) presets.push(preset("Without layers, trained for it", unlayered, anyOrder));
  return presets;
}

/** Return the stop rule that a network is shown with: its own, or the one chosen in training. */
export function shownRule({ default: { until }, chosen_until }) {
  return until !== null && until !== "quiet" ? until : (chosen_until ?? "quiet");
}

function preset(title, about, policy) {
  const { group_size, input } = about.trained_for;
  const options = { network: about.name, policy, group_size, input, until: shownRule(about) };
  return { title, options };
}

/** Return the preset with these options, or undefined. */
export function findPreset(presets, options) {
  return presets.find((each) =>
    Object.entries(each.options).every(([name, value]) => options[name] === value),
  );
}
