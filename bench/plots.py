"""Figures of a run: cost against network size and against activity."""

from pathlib import Path

from bench.result import Line, Result

__all__ = ["draw"]

_AXES = {"sizes": ("synapses", "synapses"), "activity": ("events", "input events a sample")}
"""For each question that is drawn: the figure along the x axis, and the title of that axis."""


def draw(results: list[Result], folder: Path, stem: str) -> list[Path]:
    """Draw the results that have a figure to ``{stem}-{question}.svg`` and return the paths.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; it is part of the extra ``bench``.
    """
    from matplotlib.figure import Figure

    paths = []
    for result in results:
        if result.name not in _AXES:
            continue
        figure_name, title = _AXES[result.name]
        lines = [line for line in result.lines if line.values and figure_name in line.figures]
        lines.sort(key=lambda line: line.figures[figure_name])
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log")
        for kind in dict.fromkeys(map(_kind, lines)):
            points = [line for line in lines if _kind(line) == kind]
            xs = [line.figures[figure_name] for line in points]
            for quantile, style in (("p50", "o-"), ("p99", "o:")):
                ys = [getattr(line.values, quantile) for line in points]
                axes.plot(xs, ys, style, label=f"{kind} {quantile}")
        for line in lines:
            axes.annotate(_label(line), (line.figures[figure_name], _p50(line)), fontsize=7)
        axes.set(xlabel=title, ylabel=f"{result.unit} a decision", title=result.question)
        axes.title.set_fontsize(9)
        axes.legend()
        axes.grid(alpha=0.3)
        paths.append(folder / f"{stem}-{result.name}.svg")
        figure.savefig(paths[-1])
    return paths


def _p50(line: Line) -> float:
    return line.values.p50 if line.values else 0.0


def _kind(line: Line) -> str:
    """Return the word that lines of one curve share: ``dense``, not ``64``."""
    return next(word for word in line.name.split() if not word.isdigit())


def _label(line: Line) -> str:
    times = line.figures.get("times C")
    return line.name.partition(" events")[0] + ("" if times is None else f" ({times:.1f} x C)")
