"""The study: what asynchrony does to trained networks, on held-out samples, in the runtime.

Needs torch and matplotlib (the extras ``train`` and ``viz``). A study is data, a :class:`Plan` of
:class:`Case` s; :func:`run_study` trains the networks, runs them in every mode under every stop
rule, and writes results, pictures and a report into a folder.
"""

from neuroasync.study.case import Case, Grid, Mode, Plan
from neuroasync.study.folder import StudyError
from neuroasync.study.running import run_study

__all__ = ["Case", "Grid", "Mode", "Plan", "StudyError", "run_study"]
