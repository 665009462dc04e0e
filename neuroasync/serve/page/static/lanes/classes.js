// The classes at the end of a diagram, with their votes as bars.

const MAX_ROWS = 5; // more classes need two columns

/** Draw the classes in the box of a column: {x, top, side, wide, size}. */
export function drawClasses(plot, { x, top, side, wide, size }) {
  const { context, ink, about, trace, view, font } = plot;
  const across = size > MAX_ROWS ? 2 : 1;
  const rows = Math.ceil(size / across);
  const [w, h] = [wide / across, Math.min(22, side / rows)];
  const moment = trace ? trace.momentAt(view.unit, view.position) : -1;
  const votes = trace ? trace.votesAt(moment) : [];
  const leader = trace ? trace.leaderAt(moment) : -1;
  const isOver = Boolean(trace?.length) && trace.isOver(view.unit, view.position);
  const maximum = Math.max(1, ...(trace?.decision.votes ?? []));
  const textPx = Math.min(13, Math.max(8, h - 3));
  about.classes.forEach((name, c) => {
    const [left, y] = [x + Math.floor(c / rows) * w, top + (c % rows) * h];
    const isChosen = isOver && c === trace.decision.label;
    context.fillStyle = ink.cell;
    context.fillRect(left, y, w - 2, h - 1.5);
    context.fillStyle = isChosen ? ink.accent : ink.soft;
    const share = isChosen ? 1 : (votes[c] ?? 0) / maximum;
    context.fillRect(left, y, share * (w - 2), h - 1.5);
    if (c === leader && !isChosen) {
      Object.assign(context, { strokeStyle: ink.accent, lineWidth: 1.5 });
      context.strokeRect(left + 0.75, y + 0.75, w - 3.5, h - 3);
    }
    context.font = `${c === leader ? 700 : 400} ${textPx}px ${font}`;
    context.fillStyle = isChosen ? ink.onAccent : ink.ink;
    Object.assign(context, { textAlign: "center", textBaseline: "middle" });
    context.fillText(name, left + (w - 2) / 2, y + h / 2, w - 4);
  });
  Object.assign(context, { textAlign: "left", textBaseline: "alphabetic" });
}
