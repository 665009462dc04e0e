"""A training that diverges ends at once, says where, and keeps the last good checkpoint."""

import numpy as np
import pytest

from neuroasync.train import TrainConfig, fit
from neuroasync.train.checkpoint import fingerprint, load_checkpoint
from neuroasync.train.loop.training import TrainingRun
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

TRAIN = tiny_samples()


def config(**changes):
    return TrainConfig.from_dict(SHORT.to_dict() | changes)


@pytest.mark.parametrize(("vote_scale", "loss"), [(3e38, "final"), (1e39, "accumulated")])
def test_a_loss_that_is_not_finite_ends_the_epoch_with_the_name_of_the_batch(vote_scale, loss):
    with pytest.raises(
        FloatingPointError,
        match=r"^the training diverged: in epoch 1 of 3, batch 1 of 3, the loss is (nan|inf); try "
        "a lower `lr`, `vote_scale` or `penalty`$",
    ):
        fit(TINY, TRAIN, config(vote_scale=vote_scale, loss=loss))


@pytest.mark.parametrize("loss", ["accumulated", "timestep"])
def test_gradients_that_overflow_end_the_epoch_although_the_loss_is_finite(loss):
    # These losses are summed in float64, so that a sum of large ones is finite.
    with pytest.raises(FloatingPointError, match=r"batch 1 of 3, the weights or their gradients"):
        fit(TINY, TRAIN, config(vote_scale=3e38, loss=loss))


def test_weights_that_are_not_finite_end_the_epoch_although_the_loss_is():
    # Votes are spike counts, so they stay finite, and a neuron of NaN never fires.
    batches = []
    with pytest.raises(FloatingPointError, match=r"batch \d of 3, the weights or their gradients"):
        fit(TINY, TRAIN, config(lr=1e39), on_batch=batches.append)
    assert all(np.isfinite(batch.loss) for batch in batches)


def test_the_last_good_checkpoint_is_kept_and_can_be_resumed(tmp_path, monkeypatch):
    path, step = tmp_path / "file", TrainingRun._step

    def diverge(self, epoch, batch, chosen, settings):
        if (epoch, batch) == (2, 1):
            raise self._diverged(epoch, batch, "the loss is nan")
        return step(self, epoch, batch, chosen, settings)

    monkeypatch.setattr(TrainingRun, "_step", diverge)
    with pytest.raises(FloatingPointError, match="in epoch 3 of 3, batch 2 of 3, the loss is nan"):
        fit(TINY, TRAIN, SHORT, checkpoint=path)
    monkeypatch.undo()
    parameters = sum(c.weight.size for c in TINY.connections) + 1
    state = load_checkpoint(path, SHORT, fingerprint(TINY, TRAIN, None), parameters)
    assert len(state.history) == 2
    resumed = fit(TINY, TRAIN, SHORT, checkpoint=path, resume=True)
    assert outcome(resumed) == outcome(fit(TINY, TRAIN, SHORT))


@pytest.mark.parametrize("field", ["lr", "vote_scale", "penalty", "penalty_target"])
def test_a_setting_that_no_float_can_hold_is_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` must be a finite number of at least 0"):
        config(**{field: 10**400})
    assert config(**{field: 10**30}).to_dict()[field] == 1e30
