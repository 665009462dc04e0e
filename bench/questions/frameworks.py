"""How long do layer-synchronous frameworks take for the same spikes?"""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.other_frameworks import FRAMEWORKS, Framework, installed
from bench.paired_timing import Contender, take_turns
from bench.reference_networks import as_bundle, dense_stack, frames, samples
from bench.result import Result, Scale, expect_same, lines_of
from bench.runners import open_session, session_decider
from neuroasync import Bundle, Network, SpikeTrain

__all__ = ["measure"]

_OURS = "neuroasync, layer-sync"


async def measure(scale: Scale) -> Result:
    """Time a sample of the reference case, batch 1, one thread; check the spikes of each layer."""
    scale = scale.fewer(4)
    model, trains = dense_stack(), samples(10)
    layered, binned = as_bundle(model, "layer-sync"), [frames(train) for train in trains]
    spikes = {_OURS: [await _our_spikes(layered, train) for train in trains]}
    weights = [c.weight for c in model.connections]
    contenders, notes = (
        [],
        ["other frameworks receive input that was binned into frames beforehand"],
    )
    with _one_thread():
        for name, (package, make) in FRAMEWORKS.items():
            if not installed(name):
                notes.append(f"{name}: left out, {package} is not installed")
                continue
            run, inputs = make(weights), binned
            if name != "numpy loop":
                run, inputs = _inferring(run), _tensors(binned)
            spikes[name] = [_layer_spikes(run(x)) for x in inputs]
            contenders.append(Contender(name, _votes(run, inputs)))
        async with AsyncExitStack() as stack:
            for name, bundle, engine in (
                (_OURS, layered, "auto"),
                ("the same, coroutines", layered, "coroutines"),
                ("neuroasync, random", as_bundle(model), "auto"),
                ("random, coroutines", as_bundle(model), "coroutines"),
            ):
                session = await open_session(stack, bundle, engine=engine)
                contenders.append(Contender(name, session_decider(session, trains)))
            timings = await take_turns(contenders, scale.rounds, scale.calls)
    return Result(
        "frameworks",
        "What do layer-synchronous frameworks cost, relative to neuroasync?",
        "ms",
        _OURS,
        tuple(lines_of(timings, _OURS)),
        (expect_same("spikes of each layer", spikes),),
        tuple(notes),
    )


async def _our_spikes(bundle: Bundle, train: SpikeTrain) -> tuple[int, ...]:
    async with Network(bundle) as network:
        return tuple((await network.decide(train)).spikes.values())


def _layer_spikes(spikes: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(layer.sum()) for layer in spikes)


def _votes(run: Framework, inputs: list[Any]) -> Callable[[int], object]:
    return lambda k: run(inputs[k % len(inputs)])[-1].sum(0)


def _inferring(run: Framework) -> Framework:
    import torch

    def inferring(x: Any) -> Sequence[Any]:
        with torch.inference_mode():
            return run(x)

    return inferring


def _tensors(binned: list[NDArray[np.float32]]) -> list[Any]:
    import torch

    return [torch.from_numpy(x) for x in binned]


class _one_thread:  # noqa: N801  # reads as a statement
    """Context in which torch, if installed, computes on one thread."""

    def __enter__(self) -> None:
        self._threads = 0
        if installed("torch loop"):
            import torch

            self._threads = torch.get_num_threads()
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        if self._threads:
            import torch

            torch.set_num_threads(self._threads)
