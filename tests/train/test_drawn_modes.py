"""A training whose run modes are drawn: the draws, the bundle, and resumed trainings."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync import PolicySpec, parse_run_modes
from neuroasync.core.engine.policies import Fifo, LayerSync, Momentum, Random
from neuroasync.train import CheckpointError, RunSettings, TrainConfig, export_bundle, fit
from neuroasync.train.loop.mode_draws import ModeDraws
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

MODES = "random F=1,2 queued; momentum F=4 noise=0.5; fifo F=3 x2"
ANY = replace(SHORT, epochs=5, layered_epochs=1, modes=MODES)
FOCUSED = replace(ANY, mode_focus=30.0)


class _InterruptedError(Exception):
    pass


def test_layer_sync_comes_first_and_then_modes_of_the_distribution():
    assert ANY.settings(0, 7) == RunSettings(LayerSync(), ANY.group_size)
    drawn = Counter(ANY.settings(1 + k // 50, k % 50) for k in range(200))
    assert set(drawn) == {
        RunSettings(Random(), 1, "queued"), RunSettings(Random(), 2, "queued"),
        RunSettings(Momentum(0.5), 4), RunSettings(Fifo(), 3),
    }  # fmt: skip
    assert drawn[RunSettings(Fifo(), 3)] == max(drawn.values())
    assert [ANY.epoch_policy(epoch) for epoch in range(2)] == ["layer-sync", "drawn"]


@given(st.integers(0, 2**64 - 1), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_draw_depends_on_seed_epoch_and_batch_only(seed, epoch, batch):
    config = replace(ANY, seed=seed)
    again = replace(ANY, seed=seed, lr=0.5, epochs=7, batch_size=3)
    assert config.settings(epoch, batch) == again.settings(epoch, batch)


def test_other_seeds_epochs_and_batches_draw_other_modes():
    def draws(config, epoch):
        return [config.settings(epoch, batch) for batch in range(40)]

    assert draws(ANY, 1) != draws(ANY, 2)
    assert draws(ANY, 1) != draws(replace(ANY, seed=4), 1)


def test_the_default_of_the_network_stays_the_policy_of_the_configuration():
    assert ANY.policy_spec == PolicySpec("random", 2)
    assert ANY.run_settings == RunSettings(Random(), 2)


def test_one_mode_trains_as_the_policy_does():
    train = tiny_samples()
    one = fit(TINY, train, replace(SHORT, modes="random F=2"))
    other = fit(TINY, train, SHORT)
    for a, b in zip(one.model.connections, other.model.connections, strict=True):
        assert a.weight.tobytes() == b.weight.tobytes()


@pytest.mark.parametrize("config", [ANY, FOCUSED], ids=["weights", "focus"])
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, config):
    train, validation = tiny_samples(), tiny_samples(10, seed=1)

    def stop(result):
        if result.epoch == 2:
            raise _InterruptedError

    options = {"validation": validation, "checkpoint": tmp_path / "training"}
    with pytest.raises(_InterruptedError):
        fit(TINY, train, config, on_epoch=stop, **options)
    resumed = fit(TINY, train, config, resume=True, **options)
    assert outcome(resumed) == outcome(fit(TINY, train, config, validation=validation))
    assert [r.policy for r in resumed.history] == ["layer-sync"] + ["drawn"] * 4


def test_a_checkpoint_of_other_modes_is_refused(tmp_path):
    train, path = tiny_samples(), tmp_path / "training"
    fit(TINY, train, ANY, checkpoint=path)
    with pytest.raises(ValueError, match="belongs to another training: its modes is 'random F=1"):
        fit(TINY, train, replace(ANY, modes="fifo"), checkpoint=path, resume=True)


def test_the_bundle_names_the_modes_and_others_keep_their_bytes():
    train = tiny_samples()
    bundle = export_bundle(fit(TINY, train, ANY), train)
    assert bundle.meta["train.modes"] == str(parse_run_modes(MODES))
    assert bundle.policy == PolicySpec("random", 2)
    assert "modes" not in SHORT.to_dict()
    assert TrainConfig.from_dict(ANY.to_dict()) == ANY


def test_the_best_epoch_is_one_after_layer_sync_even_if_that_is_the_default():
    config = replace(ANY, policy="layer-sync")
    assert config.first_selectable == 1
    assert replace(config, modes=None).first_selectable == 0


def test_texts_of_the_same_modes_make_equal_configurations():
    assert replace(ANY, modes="fifo  F=1") == replace(ANY, modes="fifo")


@pytest.mark.parametrize("modes", ["", "sorted", 8])
def test_malformed_modes_are_refused(modes):
    with pytest.raises(ValueError, match="`modes`"):
        replace(SHORT, modes=modes)


def test_the_noise_of_drawn_modes_is_their_own():
    with pytest.raises(ValueError, match="`momentum_noise` must be 0 with `modes`"):
        replace(SHORT, policy="momentum", momentum_noise=0.5, modes="momentum")


def test_draws_with_a_focus_follow_the_errors():
    draws = ModeDraws(parse_run_modes("layer-sync x2; random; fifo"), math.log(2) / 0.1)
    assert draws.probabilities() == [0.5, 0.25, 0.25]
    draws.add(0, 0.2)
    assert draws.probabilities() == [0.5, 0.25, 0.25]  # the others count as the mean
    draws.add(1, 0.3)
    draws.add(2, 0.1)
    # An error that is higher by 0.1 doubles a weight: 2 * 2 : 1 * 4 : 1.
    assert draws.probabilities() == pytest.approx([4 / 9, 4 / 9, 1 / 9])
    draws.add(2, 1.0)
    assert draws.errors.tolist() == pytest.approx([0.2, 0.3, 0.1 + 0.1 * 0.9])
    assert [draws.draw(key) for key in (0, 2**64 - 1)] == [0, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), max_size=30),
    st.floats(0, 1e300),
    st.integers(0, 2**64 - 1),
)
def test_any_focus_and_errors_give_probabilities(errors, focus, key):
    draws = ModeDraws(parse_run_modes("random F=1,2,3,4"), focus)
    for mode, error in errors:
        draws.add(mode, error)
    probabilities = draws.probabilities()
    assert sum(probabilities) == pytest.approx(1)
    assert probabilities[draws.draw(key)] > 0
    known = [mode for mode, _ in errors]
    worst = max(known, key=lambda mode: draws.errors[mode], default=0)
    assert probabilities[worst] == max(probabilities)


def test_a_focus_changes_the_training_and_0_does_not():
    train = tiny_samples()
    assert outcome(fit(TINY, train, replace(ANY, mode_focus=0))) == outcome(fit(TINY, train, ANY))
    assert outcome(fit(TINY, train, FOCUSED)) != outcome(fit(TINY, train, ANY))


def test_a_focus_needs_modes_and_is_in_the_configuration_only_if_there_is_one():
    with pytest.raises(ValueError, match="`mode_focus` must be 0 without `modes`, got 1"):
        replace(SHORT, mode_focus=1)
    with pytest.raises(ValueError, match="`mode_focus` must be a finite number of at least 0"):
        replace(ANY, mode_focus=-1)
    assert "mode_focus" not in ANY.to_dict()
    assert TrainConfig.from_dict(FOCUSED.to_dict()) == FOCUSED


def test_a_checkpoint_of_another_focus_is_refused(tmp_path):
    train, path = tiny_samples(), tmp_path / "training"
    fit(TINY, train, FOCUSED, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"its mode_focus is 30\.0, this one has 0"):
        fit(TINY, train, ANY, checkpoint=path, resume=True)
