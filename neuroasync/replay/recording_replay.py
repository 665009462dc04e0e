"""Run a recording again: in its recorded order, by its policy; and golden samples by theirs."""

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
from neuroasync.core.recording.recorder import Recorder
from neuroasync.core.recording.recording import Recording
from neuroasync.core.recording.run_info import CUSTOM
from neuroasync.errors import RecordingError
from neuroasync.replay.sample_replay import SampleReplay

__all__ = ["GoldenResult", "pass_times", "replay", "rerun", "verify"]


def replay(recording: Recording, bundle: Bundle) -> int:
    """Run every sample again, delivering exactly what was delivered, in the recorded order.

    Works for every policy and stop rule, also the user's own. Populations that were coroutines
    of the user's fire as recorded; all others must fire what the recording has.

    Returns:
        The number of spikes that fired as recorded: all of them.

    Raises:
        ReplayError: a spike, a delivery or a count differs; names the first.
        RecordingError: the recording is of another bundle.
    """
    packed = _packed(recording, bundle)
    for k in range(len(recording)):
        SampleReplay(recording, packed, k).run()
    return recording.neuron.size


def pass_times(recording: Recording, bundle: Bundle, k: int) -> NDArray[np.int64]:
    """Virtual time of each pass of sample ``k``, i64[passes], found by replaying it.

    Raises:
        ReplayError: as :func:`replay`.
        RecordingError: the recording is of another bundle, or has no such sample.
    """
    return SampleReplay(recording, _packed(recording, bundle), k).run()


def rerun(recording: Recording, bundle: Bundle) -> Recording:
    """Run every sample again by its policy, seed and stop rule; a recording of that.

    ``compare(recording, rerun(recording, bundle))`` is None where orders are computed here as
    they were computed there.

    Raises:
        RecordingError: the recording is of another bundle, or the policy, the stop rule or a
            population was the user's own.
        ForwardStepLimitError, LimitError: see :func:`neuroasync.core.engine.run_sample.run_sample`.
    """
    info = recording.info
    _check_bundle(recording, bundle)
    if info.own_policy or info.until == CUSTOM or info.own_populations:
        raise RecordingError(
            "the recording was made with a policy, stop rule or population of your own, "
            "which are not in it; replay it instead"
        )
    settings = RunSettings(
        make_policy(info.policy, info.noise),
        info.group_size,
        info.input,
        parse_stop_rule(info.until),
        info.max_forward_steps,
    )
    recorder, plan = (
        Recorder(bundle, settings),
        ExecutionPlan(PackedNetwork(bundle.model), settings),
    )
    simulator = Simulator(plan)
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
    """What a golden sample gave here, and what it must give.

    Attributes:
        number: position in the bundle's ``golden``.
        label, expected_label: the decision; None for no label.
        digest, expected_digest: of the recording, 32 bytes.
        spikes: how many fired here.
    """

    number: int
    label: int | None
    expected_label: int | None
    digest: bytes
    expected_digest: bytes
    spikes: int

    @property
    def holds(self) -> bool:
        """Whether both are as they must be."""
        return self.digest == self.expected_digest and self.label == self.expected_label


def verify(bundle: Bundle) -> list[GoldenResult]:
    """Run the golden samples of ``bundle`` here and now."""
    results, packed = [], PackedNetwork(bundle.model)
    for number, golden in enumerate(bundle.golden):
        spec = golden.policy
        settings = RunSettings(make_policy(spec.name, spec.noise), spec.group_size, spec.input)
        recorder = Recorder(bundle, settings)
        simulator = Simulator(ExecutionPlan(packed, settings))
        decision = _record_sample(recorder, simulator, golden.events, golden.seed, None)
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
    simulator.state.keep = True
    decision = run_sample(simulator, events, seed, duration_us)
    recorder.add(simulator, events, decision, number=0, seed=seed, duration_us=duration_us)
    return decision


def _check_bundle(recording: Recording, bundle: Bundle) -> None:
    if recording.info.bundle != bundle.digest.hex():
        raise RecordingError(
            f"the recording is of the network with digest {recording.info.bundle}, "
            f"the bundle has {bundle.digest.hex()}"
        )


def _packed(recording: Recording, bundle: Bundle) -> PackedNetwork:
    """The network, with the populations that were the user's."""
    _check_bundle(recording, bundle)
    return PackedNetwork(bundle.model, recording.info.own_populations)
