"""The common part of ``from_snntorch``, ``from_norse`` and ``from_sinabs``."""

from dataclasses import replace
from typing import Any, NamedTuple

from numpy.typing import NDArray
from torch import nn

from neuroasync import limits
from neuroasync.core.durations import Duration, microseconds
from neuroasync.core.events.spike_trains import SpikeTrains
from neuroasync.core.formats.bundle import Bundle, Scalar
from neuroasync.core.model.checks import check_int, check_shape, must_be
from neuroasync.errors import InterchangeError
from neuroasync.interchange.agreement import Agreement
from neuroasync.interchange.torch_modules.framework import Framework
from neuroasync.interchange.torch_modules.module_import import import_module
from neuroasync.interchange.torch_modules.reference_run import agreement
from neuroasync.interchange.torch_modules.reference_samples import ReferenceSamples

__all__ = ["Imported", "from_module"]


class Imported(NamedTuple):
    """An imported network.

    Attributes:
        bundle: The network.
        agreement: How it agrees with its framework on the reference samples; None without them.
    """

    bundle: Bundle
    agreement: Agreement | None


def from_module(
    framework: Framework,
    module: nn.Module,
    timestep_us: Duration,
    input_shape: tuple[int, ...] | None,
    reference: SpikeTrains | NDArray[Any] | None,
    timesteps: int | None,
    classes: tuple[str, ...] | None,
) -> Imported:
    """Import a module of a framework; see :func:`neuroasync.interchange.from_snntorch`.

    Raises:
        InterchangeError: A part of the module has no exact counterpart.
        EventsError: ``reference`` is invalid.
        ValueError: An argument is out of range.
    """
    step_us = microseconds(timestep_us, "timestep_us", at_least=1)
    if timesteps is not None:
        timesteps = check_int("timesteps", timesteps, 1, limits.MAX_PASSES, ValueError)
    if input_shape is not None:
        shape = tuple(input_shape) if isinstance(input_shape, list) else input_shape
        input_shape = check_shape("input_shape", shape, limits.MAX_INPUTS, InterchangeError)
    samples = None
    if reference is not None:
        samples = ReferenceSamples(reference, step_us, timesteps, input_shape)
        timesteps, input_shape = samples.timesteps, samples.shape
    if input_shape is None:
        raise ValueError(must_be("input_shape", "given if there is no `reference`", "None"))
    imported = import_module(framework, module, step_us, input_shape, timesteps)
    if imported.conditions and samples is None:
        raise InterchangeError(
            f"{imported.conditions[0]}; pass `reference` to measure how often that happens"
        )
    bundle = imported.bundle(framework, classes, timesteps)
    if samples is None:
        return Imported(bundle, None)
    report = agreement(framework, module, imported, bundle, samples)
    meta: dict[str, Scalar] = {
        "agreement.samples": report.samples,
        "agreement.exact": report.exact,
        "agreement.timesteps": report.timesteps,
    }
    return Imported(replace(bundle, meta={**bundle.meta, **meta}), report)
