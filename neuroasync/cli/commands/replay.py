"""``neuroasync replay``: run a recording again, spike by spike."""

from neuroasync.cli.exit_codes import NO, report
from neuroasync.cli.options import BundleOption, RecordingPath
from neuroasync.cli.output import facts, say
from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.recording.file import read_recording
from neuroasync.core.recording.recording import Recording
from neuroasync.errors import ReplayError
from neuroasync.replay import replay as replay_recording
from neuroasync.replay import rerun
from neuroasync.replay.comparison import compare

__all__ = ["replay"]


def replay(recording: RecordingPath, bundle: BundleOption) -> int:
    """Run a recording again; say so at the first spike that differs.

    \b
    Examples:
      neuroasync run net.nab test.npz --record run.npz
      neuroasync replay run.npz --bundle net.nab

    First every delivery in its recorded order; then, where policy and stop rule are built in,
    once more by policy and seed. The exit code is 1 if a spike differs.
    """  # noqa: D301  # \b keeps the examples' lines
    recorded, network = read_recording(recording), read_bundle(bundle)
    try:
        spikes = replay_recording(recorded, network)
    except ReplayError as error:
        report(str(error))
        return NO
    again = None
    if is_built_in(recorded):
        difference = compare(recorded, rerun(recorded, network))
        if difference is not None:
            report(f"by policy and seed, another order: {difference}")
            return NO
        again = "the same spikes"
    info = recorded.info
    how = f"{info.policy}, F = {info.group_size}, {info.input} input, until {info.until}"
    say(
        facts(
            [
                ("recorded", f"{len(recorded)} samples under {how}"),
                ("in its order", f"the same {spikes:,} spikes"),
                ("by its policy", again or "not possible: it is not a built-in one"),
                ("digest (sha256)", recorded.digest.hex()),
            ]
        )
    )
    return 0


def is_built_in(recording: Recording) -> bool:
    """Whether all that ran is known here: nothing of the user's own code."""
    info = recording.info
    return not (info.own_policy or info.until == "custom" or info.own_populations)
