"""Pictures of a run: cost against size, and against activity."""

from pathlib import Path

from bench.result import Answer, Line

__all__ = ["draw"]

_AXES = {"sizes": ("synapses", "synapses"), "activity": ("events", "input events a sample")}
"""The figure along the x axis of each question that is drawn, and its title."""


def draw(answers: list[Answer], folder: Path, stem: str) -> list[Path]:
    """Draw what can be drawn of ``answers`` to ``{stem}-{question}.svg``.

    Raises:
        ModuleNotFoundError: matplotlib is not installed; the extra ``bench`` has it.
    """
    from matplotlib.figure import Figure

    paths = []
    for answer in answers:
        if answer.name not in _AXES:
            continue
        figure_name, title = _AXES[answer.name]
        drawn = [line for line in answer.lines if line.values and figure_name in line.figures]
        drawn.sort(key=lambda line: line.figures[figure_name])
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log")
        for kind in dict.fromkeys(map(_kind, drawn)):
            alike = [line for line in drawn if _kind(line) == kind]
            xs = [line.figures[figure_name] for line in alike]
            for quantile, style in (("p50", "o-"), ("p99", "o:")):
                ys = [getattr(line.values, quantile) for line in alike]
                axes.plot(xs, ys, style, label=f"{kind} {quantile}")
        for line in drawn:
            axes.annotate(_label(line), (line.figures[figure_name], _p50(line)), fontsize=7)
        axes.set(xlabel=title, ylabel=f"{answer.unit} a decision", title=answer.question)
        axes.title.set_fontsize(9)
        axes.legend()
        axes.grid(alpha=0.3)
        paths.append(folder / f"{stem}-{answer.name}.svg")
        figure.savefig(paths[-1])
    return paths


def _p50(line: Line) -> float:
    return line.values.p50 if line.values else 0.0


def _kind(line: Line) -> str:
    """Word that the line has in common with those it is joined to: ``dense``, not ``64``."""
    return next(word for word in line.name.split() if not word.isdigit())


def _label(line: Line) -> str:
    times = line.figures.get("times C")
    return line.name.partition(" events")[0] + ("" if times is None else f" ({times:.1f} x C)")
