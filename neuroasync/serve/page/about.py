"""The description of a network that the page loads first."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np

from neuroasync.core.engine.policies import policy_name
from neuroasync.core.engine.stop_rules import StopRule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.serve.page.drawing import drawing_for, test_samples_for
from neuroasync.serve.page.request import POLICIES
from neuroasync.serve.served_networks import ServedNetwork
from neuroasync.shipped import shipped_spikes

__all__ = ["describe_network"]

_RULES: Final = ("quiet", "first-spike", "margin(1)", "margin(3)", "votes(3)", "steps(4)")
_Sample: TypeAlias = tuple[str, int, str | None, SpikeTrain]
"""Name, number in its data set, class, and events of a sample."""

_MAX_SAMPLES: Final = 10
_MAX_EVENTS: Final = 20_000
"""Maximum number of events of all samples together. Each takes about 15 bytes of JSON."""


def describe_network(served: ServedNetwork) -> dict[str, Any]:
    """Return the network, its default run options, and samples to choose from, as JSON."""
    bundle, settings = served.network.bundle, served.network.settings
    model, drawing = bundle.model, drawing_for(bundle)
    chosen = bundle.meta.get("until")
    until = str(settings.until) if isinstance(settings.until, StopRule) else None
    rules = dict.fromkeys([rule for rule in (chosen, until) if isinstance(rule, str)])
    return {
        "name": served.name,
        "digest": bundle.digest.hex(),
        "populations": [{"name": p.name, "size": p.size} for p in model.populations],
        "connections": [[c.source, c.target] for c in model.connections],
        "output": model.output,
        "classes": _classes(bundle),
        "input": {"shape": list(model.input_shape), "size": model.input_size},
        "timestep_us": model.timestep_us,
        "trained_for": {
            "policy": bundle.policy.name,
            "group_size": bundle.policy.group_size,
            "input": bundle.policy.input,
        },
        "default": {
            "policy": policy_name(settings.policy),
            "group_size": settings.group_size,
            "input": settings.input,
            "until": until,
        },
        "chosen_until": chosen if isinstance(chosen, str) else None,
        "validation": _validation(bundle),
        "policies": list(POLICIES),
        "until": list(dict.fromkeys([*_RULES, *rules])),
        "drawing": None if drawing is None else drawing.to_json(),
        "samples": list(_samples(bundle)),
    }


def _validation(bundle: Bundle) -> dict[str, Any] | None:
    """Return what the training measured with the chosen stop rule, on validation samples."""
    names = ("accuracy", "rounds", "spikes")
    values = {name: bundle.meta.get(f"until_validation_{name}") for name in names}
    is_known = all(isinstance(value, int | float) for value in values.values())
    return values if is_known else None


def _classes(bundle: Bundle) -> list[str]:
    outputs = bundle.model.populations[bundle.model.index(bundle.model.output)].size
    return list(bundle.classes or map(str, range(outputs)))


def _samples(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """Yield the first test digit of each class, or golden samples for networks of other data.

    No shipped network was trained with the test digits.
    """
    free_events = _MAX_EVENTS
    for name, number, label, events in _test_digits(bundle) or _golden_samples(bundle):
        if len(events) <= free_events:
            free_events -= len(events)
            times, indices = events.t_us.tolist(), events.index.tolist()
            yield {
                "name": name,
                "number": number,
                "label": label,
                "events": {"t_us": times, "index": indices, **_values(events)},
            }


def _values(events: SpikeTrain) -> dict[str, list[float]]:
    return {} if events.value is None else {"value": events.value.tolist()}


def _test_digits(bundle: Bundle) -> list[_Sample]:
    name = test_samples_for(bundle)
    if name is None:
        return []
    spikes = shipped_spikes(name)
    labels = np.empty(0, np.int64) if spikes.labels is None else spikes.labels
    numbers = [int(np.argmax(labels == label)) for label in range(10)]
    return [
        (f"test digit {number}", number, str(label), spikes[number])
        for label, number in enumerate(numbers)
    ]


def _golden_samples(bundle: Bundle) -> list[_Sample]:
    golden = bundle.golden[:_MAX_SAMPLES]
    return [(f"golden sample {k}", 0, None, each.events) for k, each in enumerate(golden)]
