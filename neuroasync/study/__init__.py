"""The study: what asynchrony does to trained networks, on held-out samples, in the runtime.

Needs torch and matplotlib (the extras ``train`` and ``viz``). A study is data, a
:class:`StudyPlan` of
:class:`Case` s; :func:`run_study` trains the networks, runs them in every mode under every stop
rule, and writes results, pictures and a report into a folder.
"""

from neuroasync.study.design.case import Case, Grid, Mode, StudyPlan
from neuroasync.study.results.output_folder import StudyError
from neuroasync.study.run.runner import run_study

__all__ = ["Case", "Grid", "Mode", "StudyError", "StudyPlan", "run_study"]
