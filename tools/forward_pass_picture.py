"""Draw the steps of a forward pass for the documentation.

Usage: ``python -m tools.forward_pass_picture docs/assets/forward-pass.svg``. The picture shows a
network with two inputs, three hidden neurons and two outputs in one forward pass with F = 1.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT, COLUMNS = 300, 235, 3
INK, MUTED, IDLE = "#20262e", "#5d6675", "#c3c9d2"
PENDING, ACTIVE, DONE = "#e0a100", "#c0392b", "#1a7f5a"
PLACES = {
    "i0": (40, 85), "i1": (40, 165),
    "a": (150, 60), "b": (150, 125), "c": (150, 190),
    "x": (260, 85), "y": (260, 165),
}  # fmt: skip
CONNECTIONS = ("i0-a", "i0-b", "i1-b", "i1-c", "a-x", "b-x", "b-y", "c-y", "a-y")


@dataclass(frozen=True)
class Panel:
    """One moment of the pass.

    Attributes:
        title: what happens.
        delivered: connections that carry spikes now.
        pending: neurons whose spikes wait.
        fired: neurons that fire now.
        done: neurons whose spikes were delivered.
        note: what is pending afterwards.
    """

    title: str
    delivered: tuple[str, ...] = ()
    pending: str = ""
    fired: str = ""
    done: str = ""
    note: str = ""


PANELS = (
    Panel("1  The input group is delivered", ("i0-a", "i0-b", "i1-b", "i1-c"),
          note="step 0, no round"),
    Panel("2  Neurons above threshold fire", fired="ac", pending="ac", note="pending: a, c"),
    Panel("3  The policy picks c", ("c-y",), pending="a", fired="y", done="c",
          note="step 1: y fires, a vote. Pending: a, y"),
    Panel("4  The stop rule is asked", pending="ay", done="c",
          note="first-spike stops here; quiet continues"),
    Panel("5  The policy picks y, then a", ("a-x", "a-y"), done="cya",
          note="steps 2 and 3: no other neuron fires"),
    Panel("6  Nothing is pending", done="cya", note="the pass ends after 3 steps, 3 rounds"),
)  # fmt: skip


def neuron(name: str, panel: Panel) -> str:
    """Return the circle of one neuron or input."""
    x, y = PLACES[name]
    fill, text = "#ffffff", INK
    if name in panel.done:
        fill, text = DONE, "#ffffff"
    if name in panel.pending:
        fill = PENDING
    if name in panel.fired:
        fill, text = ACTIVE, "#ffffff"
    if name.startswith("i") and panel.title.startswith("1"):
        fill, text = ACTIVE, "#ffffff"
    label = f'<text x="{x}" y="{y + 4}" text-anchor="middle" fill="{text}">{name}</text>'
    return f'<circle cx="{x}" cy="{y}" r="15" fill="{fill}" stroke="{INK}"/>{label}'


def connection(name: str, panel: Panel) -> str:
    """Return the line of one connection."""
    (x1, y1), (x2, y2) = (PLACES[end] for end in name.split("-"))
    is_active = name in panel.delivered
    colour, width = (ACTIVE, 2.5) if is_active else (IDLE, 1)
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="{width}"/>'
    )


def draw(number: int, panel: Panel) -> str:
    """Return one panel at its place."""
    left, top = WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS)
    parts = [
        f'<g transform="translate({left} {top})">',
        f'<text x="25" y="26" fill="{INK}" font-weight="bold">{panel.title}</text>',
        *(connection(name, panel) for name in CONNECTIONS),
        *(neuron(name, panel) for name in PLACES),
        f'<text x="25" y="226" fill="{MUTED}">{panel.note}</text>',
        "</g>",
    ]
    return "\n".join(parts)


def main(path: Path) -> None:
    """Write the picture."""
    rows = (len(PANELS) + COLUMNS - 1) // COLUMNS
    width, height = WIDTH * COLUMNS, HEIGHT * rows + 40
    legend = "".join(
        f'<circle cx="{40 + 190 * k}" cy="{height - 20}" r="7" fill="{colour}"/>'
        f'<text x="{54 + 190 * k}" y="{height - 16}" fill="{INK}">{text}</text>'
        for k, (colour, text) in enumerate(
            ((ACTIVE, "fires or delivers now"), (PENDING, "spike is pending"), (DONE, "delivered"))
        )
    )
    panels = "\n".join(draw(k, panel) for k, panel in enumerate(PANELS))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="Helvetica, Arial, sans-serif" font-size="13">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n{panels}\n{legend}\n</svg>\n',
        "utf-8",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
