"""``neuroasync replay``: run a recording again and compare every spike."""

from typing import TYPE_CHECKING

from neuroasync.cli.exit_codes import CHECK_FAILED, report_error
from neuroasync.cli.options import JsonOption, NetworkOption, RecordingPath
from neuroasync.cli.output import echo_json
from neuroasync.cli.tables import echo, key_value_table
from neuroasync.core.quantity import quantity
from neuroasync.errors import ReplayError

if TYPE_CHECKING:
    from neuroasync.core.recording.recording import Recording

__all__ = ["replay"]


def replay(recording: RecordingPath, bundle: NetworkOption, json: JsonOption = False) -> int:
    """Run a recording again and report the first spike that differs.

    \b
    Examples:
      neuroasync run unlayered digits --record run.npz
      neuroasync replay run.npz --bundle unlayered

    The first run delivers every spike in the recorded order. If the policy and the stop rule are
    built in, a second run lets the policy choose the order again. The exit code is 1 if a spike
    differs.
    """  # noqa: D301  # \b keeps the line breaks of the examples.
    from neuroasync.core.recording.file import read_recording
    from neuroasync.replay import compare, rerun
    from neuroasync.replay import replay as replay_recording
    from neuroasync.shipped import load_bundle

    recorded, network = read_recording(recording), load_bundle(bundle)
    try:
        spikes = replay_recording(recorded, network)
    except ReplayError as error:
        return _differs(str(error), json)
    by_policy = "not possible: the run used custom code"
    if _is_built_in(recorded):
        difference = compare(recorded, rerun(recorded, network))
        if difference is not None:
            message = f"the policy and the seed give a different order: {difference}"
            return _differs(message, json)
        by_policy = "the same spikes"
    if json:
        result = {"same": True, "samples": len(recorded), "spikes": spikes}
        rerun_json = {"by_policy": _is_built_in(recorded), "sha256": recorded.digest.hex()}
        echo_json(result | rerun_json)
        return 0
    info = recorded.info
    settings = f"{info.policy}, F = {info.group_size}, {info.input} input, until {info.until}"
    echo(
        key_value_table(
            [
                ("recorded", f"{quantity(len(recorded), 'sample')} under {settings}"),
                ("in recorded order", f"the same {quantity(spikes, 'spike')}"),
                ("by the policy", by_policy),
                ("sha256", recorded.digest.hex()),
            ]
        )
    )
    return 0


def _differs(message: str, json: bool) -> int:
    """Report that a spike differs, and return the exit code."""
    report_error(message)
    if json:
        echo_json({"same": False, "difference": message})
    return CHECK_FAILED


def _is_built_in(recording: "Recording") -> bool:
    """Return whether the run used only built-in policies, stop rules and populations."""
    info = recording.info
    return not (info.custom_policy or info.until == "custom" or info.custom_populations)
