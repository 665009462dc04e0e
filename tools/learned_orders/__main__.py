"""Write the tables of ``docs/results/learned-orders.md``.

::

    python -m tools.learned_orders STUDY OUT --data DIR

STUDY is the output folder of the study that ``docs/results/study.md`` names. Results are stored in
the folder OUT, one file for each data set and seed, and a file that exists is not measured again.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from neuroasync.metrics.mean import Mean
from neuroasync.study.design.stop_rules import ONE_POINT
from neuroasync.study.report.number_format import counted, percent, points
from tools.learned_orders.measure import measure
from tools.result_pages import PAGES, TITLES, Rows, with_rows

PAGE: Final = PAGES / "learned-orders.md"
CASES: Final = ("digits", "nmnist-small", "mnist", "fashion-mnist", "spoken-digits")
"""The cases in the order of the page."""
UNLEARNED: Final = ("spoken-digits",)
"""Cases whose samples take too many rounds for a search."""
SEEDS: Final = (0, 1, 2)
Results: TypeAlias = Sequence[Mapping[str, Any]]
"""The results of the seeds of a case."""
Halves: TypeAlias = Sequence[Mapping[str, float]]
"""What a rule loses and takes on random halves, for each nominal loss."""


def orders(title: str, results: Results) -> Rows:
    """Yield each order with its own stop rule on held-out samples."""
    accuracy, rounds, spikes = (
        {name: [r["orders"][name][column] for r in results] for name in results[0]["orders"]}
        for column in ("accuracy", "rounds", "spikes")
    )
    for name in ("layered", *(name for name in accuracy if name != "layered")):
        change = zip(accuracy[name], accuracy["layered"], strict=True)
        label = "`layered`, layer-sync" if name == "layered" else name
        yield [
            f"{title}, {label}",
            percent(Mean.of(accuracy[name])),
            "" if name == "layered" else points(Mean.of(one - other for one, other in change)),
            counted(Mean.of(rounds[name])),
            ratio(rounds[name], rounds["layered"]),
            counted(Mean.of(spikes[name])),
            ratio(spikes[name], spikes["layered"]),
        ]


def equal_accuracy(title: str, results: Results) -> Rows:
    """Yield the rounds of each order at the same accuracy, where it was learned and elsewhere."""
    for name in results[0]["orders"]:
        if name == "layered":
            continue
        trained = [r["trained"][name] / r["trained"]["random"] for r in results if r["trained"]]
        known = [r["orders"] for r in results]
        column = "rounds at equal accuracy"
        others = [r[name][column] / r["random"][column] for r in known]
        rounds = Mean.of(r[name][column] for r in known)
        yield [
            f"{title}, {name}",
            percent(Mean.of(trained) if trained else None),
            percent(Mean.of(others)),
            counted(rounds),
        ]


def bounds(title: str, results: Results) -> Rows:
    """Yield the part of the rounds that the order cannot save without changing spikes."""
    names = ("rounds", "before the last pass")
    known = [[r["orders"]["random"][name] for r in results] for name in names]
    yield [title, *(counted(Mean.of(values)) for values in known), ratio(known[1], known[0])]


def stops(title: str, results: Results) -> Rows:
    """Yield each kind of stop rule, on held-out samples and on random halves."""
    for network, rules in results[0]["stops"].items():
        for rule in rules:
            values = [r["stops"][network] for r in results]
            held = [value[rule]["held out"] for value in values]
            each, usual = ([value[name]["halves"] for value in values]
                           for name in (rule, "built-in"))  # fmt: skip
            yield [
                f"{title}, {network}, {rule}",
                percent(Mean.of(outcome["accuracy"] for outcome in held)),
                counted(Mean.of(outcome["rounds"] for outcome in held)),
                counted(Mean.of(outcome["spikes"] for outcome in held)),
                f"{rounds_at_loss(each):.1f}",
                percent(share_at_loss(each, usual)),
            ]


def ratio(part: Sequence[float], whole: Sequence[float]) -> str:
    """Return the ratio of two means in percent."""
    return f"{100 * sum(part) / sum(whole):.0f}"


def rounds_at_loss(seeds: Sequence[Halves]) -> float:
    """Return the rounds at an actual loss of one point, between the nominal losses.

    The curve is that of the means over the seeds.
    """
    points = [[[each["lost"], each["rounds"]] for each in halves] for halves in seeds]
    lost, rounds = np.mean(points, axis=0).T
    slope, offset = np.polyfit(lost, np.log(rounds), 1)
    return float(np.exp(offset + slope * ONE_POINT))


def share_at_loss(seeds: Sequence[Halves], usual: Sequence[Halves]) -> Mean:
    """Return the rounds relative to those of other rules, with the jackknife's standard error."""
    share = rounds_at_loss(seeds) / rounds_at_loss(usual)
    n = len(seeds)
    if n < 2:
        return Mean(share, None)
    rest = [[k for k in range(n) if k != left_out] for left_out in range(n)]
    without = np.array([
        rounds_at_loss([seeds[k] for k in kept]) / rounds_at_loss([usual[k] for k in kept])
        for kept in rest
    ])  # fmt: skip
    return Mean(share, float(np.sqrt((n - 1) * without.var())))


TABLES: Final[Mapping[str, Callable[[str, Results], Rows]]] = {
    "bounds": bounds,
    "orders": orders,
    "equal accuracy": equal_accuracy,
    "stops": stops,
}
"""The tables of the page, by the name in their comment."""


def page_with(page: str, results: Mapping[str, Results]) -> str:
    """Return the page with new rows in its tables."""
    for name, rows in TABLES.items():
        cases = (rows(TITLES[case], each) for case, each in results.items())
        page = with_rows(page, name, [row for case in cases for row in case])
    return page


def main() -> None:
    """Measure what is missing, and write the tables into the page."""
    parser = argparse.ArgumentParser("python -m tools.learned_orders")
    parser.add_argument("study", type=Path, metavar="STUDY", help="output folder of the study")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the results")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of the data sets")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--samples", type=int, default=300, help="samples of the search")
    parser.add_argument("--generations", type=int, default=8, help="generations of the search")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for case in args.cases:
        for seed in SEEDS:
            path = args.out / f"{case}-{seed}.json"
            if not path.exists():
                measured = measure(
                    args.study, case, seed, args.data,
                    searched=0 if case in UNLEARNED else args.samples,
                    generations=args.generations,
                )  # fmt: skip
                path.write_text(json.dumps(measured, indent=1), "utf-8")
        paths = [args.out / f"{case}-{seed}.json" for seed in SEEDS]
        results[case] = [json.loads(path.read_text("utf-8")) for path in paths]
    PAGE.write_text(page_with(PAGE.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    main()
