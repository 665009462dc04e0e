"""Run settings are equal if they run a network in the same way."""

from dataclasses import fields, replace

from neuroasync.core.engine.policies import Momentum
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.stop_rules import StopRule

OTHER = {
    "policy": Momentum(0.5), "group_size": 2, "input": "queued", "until": StopRule("margin", (3,)),
    "max_forward_steps": 7, "engine": "coroutines", "max_passes": 7,
}  # fmt: skip


def test_settings_differ_in_every_field():
    assert set(OTHER) == {field.name for field in fields(RunSettings)}
    for name, value in OTHER.items():
        other = replace(RunSettings(), **{name: value})
        assert other != RunSettings()
        assert other == replace(RunSettings(), **{name: value})
        assert hash(other) == hash(replace(RunSettings(), **{name: value}))
