"""Draw the picture of the README and of the start page: ``python -m tools.benefit_picture``.

It is the picture of ``neuroasync demo`` for light and for dark pages, with its description as
metadata. Needs the extra ``viz``.
"""

from pathlib import Path
from typing import Any, Final

from neuroasync import plot
from neuroasync.cli.commands.demo.figures import Example, choose_example, digit_figure
from neuroasync.cli.commands.demo.runs import run_row, story_rows
from neuroasync.cli.commands.demo.story import FRAGILE, ROBUST, compare
from neuroasync.shipped import shipped_bundle, shipped_spikes

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "assets"
BUNDLES: Final = {name: shipped_bundle(name) for name in (FRAGILE, ROBUST)}
SPIKES: Final = shipped_spikes()
SEED: Final = 0


def example() -> Example:
    """Run the networks on all samples, and choose the digit to show."""
    numbers = range(len(SPIKES))
    comparisons = []
    for name, bundle in BUNDLES.items():
        results = {
            row: run_row(name, bundle, row, SPIKES, numbers, SEED, lambda done: None)
            for row in story_rows(bundle)
        }
        comparisons += compare(bundle, results)
    return choose_example(comparisons, SPIKES, numbers)


def description(shown: Example) -> str:
    """Return what the picture shows, for readers who do not see it."""
    runs = [
        f"{title}: answers {decision.label} after {decision.rounds} rounds"
        for title, result in shown.runs.items()
        for decision in [result.decisions[shown.position]]
    ]
    return f"A handwritten {shown.target} in three runs. {'; '.join(runs)}."


def main() -> None:
    """Write the picture for light and for dark pages."""
    shown = example()
    for name, dark in (("benefit-light.png", False), ("benefit-dark.png", True)):
        figure: Any = digit_figure(plot, shown, BUNDLES, SPIKES, SEED, dark=dark)
        metadata = {"Description": description(shown), "Software": "neuroasync"}
        figure.savefig(FOLDER / name, dpi=160, metadata=metadata)
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
