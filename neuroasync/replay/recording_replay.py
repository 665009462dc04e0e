"""Replay recordings in their recorded order, rerun them by their policy, verify golden samples."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroasync.core.engine.decision import Decision
from neuroasync.core.engine.execution_plan import ExecutionPlan
from neuroasync.core.engine.packed_network import PackedNetwork
from neuroasync.core.engine.policies import make_policy
from neuroasync.core.engine.run_sample import run_sample
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.engine.simulator import Simulator
from neuroasync.core.engine.stop_rules import parse_stop_rule
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.core.formats.bundle import Bundle
from neuroasync.core.model.checks import check_type
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording, check_made_with
from neuroasync.core.recording.run_info import CUSTOM_STOP_RULE
from neuroasync.errors import RecordingError
from neuroasync.replay.sample_replay import SampleReplay

__all__ = ["GoldenResult", "pass_times", "replay", "rerun", "verify"]


def replay(recording: Recording, bundle: Bundle) -> int:
    """Run every sample again with the recorded deliveries in the recorded order.

    This works for every policy and stop rule, including custom ones. Custom populations fire as
    recorded. All other populations must fire exactly the recorded spikes.

    Returns:
        The number of spikes, all of which fired as recorded.

    Raises:
        ReplayError: a spike, a delivery or a count differs. The message names the first one.
        RecordingError: the recording was made with another bundle.
    """
    packed = _packed(recording, bundle)
    for k in range(len(recording)):
        SampleReplay(recording, packed, k).run()
    return recording.neuron.size


def pass_times(recording: Recording, bundle: Bundle, k: int) -> NDArray[np.int64]:
    """Replay sample ``k`` and return the virtual time of each of its passes, i64[passes] in µs.

    Raises:
        ReplayError: a spike, a delivery or a count differs.
        RecordingError: the recording was made with another bundle, or has no such sample.
    """
    return SampleReplay(recording, _packed(recording, bundle), k).run()


def rerun(recording: Recording, bundle: Bundle) -> Recording:
    """Run every sample again with its policy, seed and stop rule, and record it.

    ``compare(recording, rerun(recording, bundle))`` is None if this machine computes the same order
    as the one that made the recording.

    Raises:
        RecordingError: the recording was made with another bundle, or with a custom policy, stop
            rule or population.
        ForwardStepLimitError, LimitError: see :func:`neuroasync.core.engine.run_sample.run_sample`.
    """
    check_made_with(recording, bundle)
    info = recording.info
    if info.custom_policy or info.until == CUSTOM_STOP_RULE or info.custom_populations:
        raise RecordingError(
            "the recording was made with a custom policy, stop rule or population, which it does "
            "not contain; replay it instead"
        )
    settings = RunSettings(
        make_policy(info.policy, info.noise),
        info.group_size,
        info.input,
        parse_stop_rule(info.until),
        info.max_forward_steps,
    )
    recorder = Recorder(bundle, settings)
    simulator = Simulator(ExecutionPlan(PackedNetwork(bundle.model), settings))
    for k in range(len(recording)):
        target = int(recording.target[k])
        _record_sample(
            recorder.for_sample(int(recording.number[k]), None if target < 0 else target),
            simulator,
            recording.events(k),
            int(recording.seed[k]),
            recording.duration(k),
        )
    return recorder.finish()


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """The result of a golden sample on this machine, and the expected result.

    Attributes:
        number: position of the sample in the bundle's ``golden``.
        label, expected_label: label of the decision; None if there is none.
        digest, expected_digest: digest of the recorded spikes, 32 bytes.
        spikes: number of spikes on this machine.
    """

    number: int
    label: int | None
    expected_label: int | None
    digest: bytes
    expected_digest: bytes
    spikes: int

    @property
    def holds(self) -> bool:
        """Whether label and digest are the expected ones."""
        return self.digest == self.expected_digest and self.label == self.expected_label


def verify(bundle: Bundle) -> list[GoldenResult]:
    """Run the golden samples of ``bundle`` on this machine, and return their results in order."""
    check_type("bundle", bundle, Bundle)
    results, packed = [], PackedNetwork(bundle.model)
    for number, golden in enumerate(bundle.golden):
        spec = golden.policy
        settings = RunSettings(make_policy(spec.name, spec.noise), spec.group_size, spec.input)
        recorder = Recorder(bundle, settings)
        simulator = Simulator(ExecutionPlan(packed, settings))
        decision = _record_sample(
            recorder, simulator, golden.events, golden.seed, bundle.duration_us
        )
        recording = recorder.finish()
        results.append(
            GoldenResult(
                number,
                decision.label,
                golden.label,
                recording.digest,
                golden.spikes_sha256,
                recording.neuron.size,
            )
        )
    return results


def _record_sample(
    recorder: Recorder,
    simulator: Simulator,
    events: SpikeTrain,
    seed: int,
    duration_us: int | None,
) -> Decision:
    simulator.state.keep = True  # the recorder needs all spikes of the sample
    decision = run_sample(simulator, events, seed, duration_us)
    recorder.add(simulator, events, decision, number=0, seed=seed, duration_us=duration_us)
    return decision


def _packed(recording: Recording, bundle: Bundle) -> PackedNetwork:
    """Return the network, with the populations of the recording that were custom."""
    check_made_with(recording, bundle)
    return PackedNetwork(bundle.model, recording.info.custom_populations)
