"""What a study checks of the runtime while it measures."""

from dataclasses import replace

import pytest

from neuroasync import Network, read_bundle
from neuroasync.study import Mode, StudyError
from neuroasync.study.results.output_folder import Folder
from neuroasync.study.run import measurement as measuring_module
from neuroasync.study.run import sweep as sweep_module
from neuroasync.study.run.measurement import Subject, measure
from neuroasync.study.run.samples import Samples
from neuroasync.study.run.sweep import record, sweep
from tests.helpers.small_studies import case, task

MODE = Mode("random", 8, "queued")
VALIDATION, TEST = task(8, 1), task(8, 2)


@pytest.fixture
def bundle(finished):
    return finished.folder / "bundles" / "task-layered-0.nab"


async def test_both_engines_and_the_chosen_rule_are_run(bundle):
    async with Network.load(bundle) as network:
        found = await sweep(network, MODE, VALIDATION, TEST, 3)
    assert found.checked == 3
    assert [point.rule for point in found.points] == [point.rule for point in found.validation]
    whole, stopped = found.decisions
    assert [d.rounds for d in whole] == found.points[0].rounds.tolist()
    assert [d.rounds for d in stopped] == found.points[found.best[0]].rounds.tolist()


async def test_engines_at_odds_end_the_study(bundle, monkeypatch):
    async def other(network, mode, samples, seed, **options):
        if options.get("engine") == "coroutines":
            samples = task(3, 9)
        return await record(network, mode, samples, seed, **options)

    monkeypatch.setattr(sweep_module, "record", other)
    async with Network.load(bundle) as network:
        with pytest.raises(StudyError, match="the engines fire other spikes in sample 0"):
            await sweep(network, MODE, VALIDATION, TEST, 3)


async def test_a_rule_that_ends_a_sample_elsewhere_ends_the_study(bundle, monkeypatch):
    def late(recording, rules, judge=sweep_module.stop_points):
        return tuple(replace(p, rounds=p.rounds + 1) for p in judge(recording, rules))

    monkeypatch.setattr(sweep_module, "stop_points", late)
    async with Network.load(bundle) as network:
        with pytest.raises(StudyError, match="its recording says"):
            await sweep(network, MODE, VALIDATION, TEST, 3)


def test_a_disagreement_of_trainer_and_runtime_is_listed(finished, tmp_path, monkeypatch):
    def wrong(network, trains, settings, seed, judge=measuring_module.evaluate):
        labels, spikes = judge(network, trains, settings, seed)
        labels[5] = 9
        return labels, spikes

    monkeypatch.setattr(measuring_module, "evaluate", wrong)
    one = case(finished.own)
    subject = Subject(
        case=one,
        training="layered",
        seed=0,
        bundle=read_bundle(finished.folder / "bundles" / "task-layered-0.nab"),
        samples=Samples(one, None).of_seed(0),
        versions={},
        keep_recordings=False,
    )
    agreement = measure(
        subject, Folder(tmp_path / "out", finished.plan, {}), lambda done: None
    ).network.agreement
    assert (agreement.samples, agreement.equal) == (12, 11)
    ((sample, trainer, runtime),) = agreement.disagreements
    assert (sample, trainer) == (5, 9)
    assert -1 <= runtime < 4
