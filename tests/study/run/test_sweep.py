"""Checks of the runtime that a study makes while it measures."""

from dataclasses import replace

import pytest

from neuroasync import Network, read_bundle
from neuroasync.study import Mode, StudyError
from neuroasync.study.design.case import StudyNetwork
from neuroasync.study.run import measurement as measurement_module
from neuroasync.study.run import sweep as sweep_module
from neuroasync.study.run.measurement import Subject, measure
from neuroasync.study.run.samples import StudySamples
from neuroasync.study.run.sweep import record, sweep
from tests.helpers.small_studies import case, task

MODE = Mode("random", 8, "queued")
VALIDATION, TEST = task(8, 1), task(8, 2)


@pytest.fixture
def bundle(finished):
    """Path of a bundle that the small study has trained."""
    return finished.folder / "bundles" / "task-layered-0.nab"


async def test_sweep_runs_both_engines_and_the_chosen_rule(bundle):
    async with Network.load(bundle) as network:
        swept = await sweep(network, MODE, VALIDATION, TEST, 3)
    assert swept.checked == 3
    assert [point.rule for point in swept.points] == [point.rule for point in swept.validation]
    whole, stopped = swept.decisions
    assert [d.rounds for d in whole] == swept.points[0].rounds.tolist()
    assert [d.rounds for d in stopped] == swept.points[swept.best[0]].rounds.tolist()


async def test_disagreeing_engines_end_the_study(bundle, monkeypatch):
    async def other(network, mode, samples, seed, **options):
        if options.get("engine") == "coroutines":
            samples = task(3, 9)
        return await record(network, mode, samples, seed, **options)

    monkeypatch.setattr(sweep_module, "record", other)
    async with Network.load(bundle) as network:
        with pytest.raises(StudyError, match="the engines fire different spikes in sample 0"):
            await sweep(network, MODE, VALIDATION, TEST, 3)


async def test_rule_that_stops_elsewhere_than_computed_ends_the_study(bundle, monkeypatch):
    def late(recording, rules, judge=sweep_module.stop_points):
        return tuple(replace(p, rounds=p.rounds + 1) for p in judge(recording, rules))

    monkeypatch.setattr(sweep_module, "stop_points", late)
    async with Network.load(bundle) as network:
        with pytest.raises(StudyError, match="its recording gives"):
            await sweep(network, MODE, VALIDATION, TEST, 3)


def test_disagreement_of_trainer_and_runtime_is_listed(finished, monkeypatch):
    def wrong(*arguments, judge=measurement_module.evaluate):
        labels, spikes = judge(*arguments)
        labels[5] = 9
        return labels, spikes

    monkeypatch.setattr(measurement_module, "evaluate", wrong)
    one = case(finished.user_files)
    subject = Subject(
        network=StudyNetwork(one, "layered", 0),
        bundle=read_bundle(finished.folder / "bundles" / "task-layered-0.nab"),
        versions={},
        keep_recordings=False,
    )
    samples = StudySamples(one, None).of_seed(0)
    agreement = measure(subject, samples, lambda done: None).measurement.network.agreement
    assert (agreement.samples, agreement.equal) == (12, 11)
    ((sample, trainer, runtime),) = agreement.disagreements
    assert (sample, trainer) == (5, 9)
    assert -1 <= runtime < 4
