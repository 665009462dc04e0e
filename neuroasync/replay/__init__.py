"""Run recordings again, verify golden samples and compare recordings spike by spike."""

from neuroasync.replay.comparison import Difference, compare
from neuroasync.replay.recording_replay import GoldenResult, pass_times, replay, rerun, verify

__all__ = ["Difference", "GoldenResult", "compare", "pass_times", "replay", "rerun", "verify"]
