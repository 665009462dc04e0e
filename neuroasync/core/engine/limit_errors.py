"""The errors of samples that exceed a limit of the run settings, the same in every engine."""

from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.model.model import Model
from neuroasync.errors import ForwardStepLimitError, PassLimitError

__all__ = ["forward_step_limit_error", "pass_limit_error"]


def forward_step_limit_error(
    place: str, settings: RunSettings, model: Model, owner: int
) -> ForwardStepLimitError:
    """Return the error of a pass that did not end.

    Args:
        place: the pass, such as ``"pass 3 (t = 3000 µs)"``.
        settings: the run settings.
        model: the network.
        owner: position of the population that fired last in the pass, or -1.
    """
    latest = "no population fired, because the input is queued"
    if owner >= 0:
        latest = f"population {model.populations[owner].name!r} was the last to fire"
    return ForwardStepLimitError(
        f"{place} did not end within max_forward_steps = {settings.max_forward_steps}; {latest}. "
        "Raise the limit, or make the populations of the loop refractory"
    )


def pass_limit_error(passes: int, time_us: int, settings: RunSettings) -> PassLimitError:
    """Return the error of a sample that needs another pass after ``passes``, at ``time_us`` µs."""
    return PassLimitError(
        f"the sample took {passes} passes by t = {time_us} µs; the limit is {settings.max_passes}"
    )
