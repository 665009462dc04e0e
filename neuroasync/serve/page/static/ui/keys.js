// Single-key shortcuts.

/** Call the action of a key, such as {k: () => ...}, while the checkbox is checked. */
export function setUpKeys(checkbox, actions) {
  addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input[type=number], input[type=text], select");
    const isIgnored = event.ctrlKey || event.metaKey || event.altKey || isTyping;
    const action = actions[event.key.toLowerCase()];
    if (isIgnored || !action || !checkbox.checked) return;
    event.preventDefault();
    action();
  });
}
