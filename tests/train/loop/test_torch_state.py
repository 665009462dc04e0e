"""What a program has set in torch neither changes nor breaks a training, and stays as it was."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.train import SpikingNetwork, TrainConfig, evaluate, fit
from neuroasync.train.loop.torch_state import own_torch_state
from tests.helpers.small_trainings import SHORT, TINY, outcome, tiny_samples

TRAIN, VALIDATION = tiny_samples(), tiny_samples(10, seed=1)


@contextmanager
def changed(setter, value, before):
    """Change a setting of torch inside the block."""
    setter(value)
    try:
        yield
    finally:
        setter(before)


SETTINGS = {
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "default type float64": lambda: changed(torch.set_default_dtype, torch.float64, torch.float32),
    "default type bfloat16": lambda: changed(
        torch.set_default_dtype, torch.bfloat16, torch.float32
    ),
    "default device": lambda: changed(torch.set_default_device, "meta", None),
    "device of a block": lambda: torch.device("meta"),
    "anomaly detection": torch.autograd.detect_anomaly,
    "deterministic algorithms": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "three threads": lambda: changed(torch.set_num_threads, 3, torch.get_num_threads()),
    "no denormals": lambda: changed(torch.set_flush_denormal, True, False),
}


def state():
    """Return the settings of torch."""
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "anomaly": torch.is_anomaly_enabled(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "threads": torch.get_num_threads(),
        "denormals": float(np.float32(1e-40) * np.float32(1)) != 0,
        "random": torch.random.get_rng_state().tolist(),
    }


@pytest.fixture(scope="module")
def expected():
    """The result of a training under the default settings."""
    return outcome(fit(TINY, TRAIN, SHORT, validation=VALIDATION))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_setting_neither_changes_a_training_nor_is_changed(setting, expected, tmp_path):
    with SETTINGS[setting]():
        before, seen = state(), []
        done = fit(
            TINY, TRAIN, SHORT, validation=VALIDATION, checkpoint=tmp_path / "file",
            on_batch=lambda result: seen.append(state()), on_epoch=lambda _: seen.append(state()),
        )  # fmt: skip
        # Callbacks belong to the program, so they have its settings.
        assert all(found == before for found in seen)
        assert state() == before
    assert outcome(done) == expected


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_setting_does_not_change_a_resumed_training(setting, expected, tmp_path):
    class StopError(Exception):
        pass

    def stop(result):
        raise StopError

    arguments = {"validation": VALIDATION, "checkpoint": tmp_path / "file"}
    with pytest.raises(StopError):
        fit(TINY, TRAIN, SHORT, on_epoch=stop, **arguments)
    with SETTINGS[setting]():
        assert outcome(fit(TINY, TRAIN, SHORT, resume=True, **arguments)) == expected


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_setting_changes_no_decision(setting):
    settings = RunSettings()
    model = fit(TINY, TRAIN, SHORT).model
    expected, spikes = evaluate(SpikingNetwork(model, device="cpu"), VALIDATION, settings)
    with SETTINGS[setting]():
        found, counts = evaluate(SpikingNetwork(model, device="cpu"), VALIDATION, settings)
    assert (found.tolist(), counts.tolist()) == (expected.tolist(), spikes.tolist())


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_settings_are_restored_when_a_training_fails(setting):
    with SETTINGS[setting]():
        before = state()
        with pytest.raises(FloatingPointError):
            fit(TINY, TRAIN, TrainConfig(vote_scale=1e38, epochs=1, device="cpu"))
        assert state() == before


def test_a_callback_may_change_a_setting(expected):
    def switch_off(result):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)

    try:
        done = fit(TINY, TRAIN, SHORT, validation=VALIDATION, on_batch=switch_off)
    finally:
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
    assert outcome(done) == expected


def test_the_settings_of_a_training_are_the_defaults_of_torch():
    with own_torch_state():
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float32
        assert torch.get_num_threads() == 1
