"""The study: how ordering policies affect trained networks, measured on held-out samples.

This package needs torch and matplotlib, which the extras ``train`` and ``viz`` install. A study is
described by plain data, a :class:`StudyPlan` of :class:`Case` objects. :func:`run_study` trains the
networks, runs them in every mode with every stop rule, and writes results, figures and a report
into a folder.
"""

from neuroasync.study.design.case import Case, Grid, Mode, StudyPlan
from neuroasync.study.results.output_folder import StudyError
from neuroasync.study.run.runner import run_study

__all__ = ["Case", "Grid", "Mode", "StudyError", "StudyPlan", "run_study"]
