"""Calibrations, and the trajectories and recordings that they come from."""

from dataclasses import replace

import numpy as np

import neuroasync as na
from neuroasync.core.engine.policies import Fifo
from neuroasync.core.engine.run_settings import RunSettings
from neuroasync.core.events.spike_train import SpikeTrain
from neuroasync.metrics.trajectory import Trajectory
from tests.helpers.recordings import record, relay


def trajectory(*moments):
    """Build a trajectory from (pass, label, margin); these tests ignore the other values."""
    pass_, label, margin = np.array([(-1, -1, 0), *moments]).T
    return Trajectory(pass_, pass_, pass_, pass_, label, margin, margin)


def calibration(accuracy=0.9, leads=(2, 1), policy=None, error=0.05):
    """Return a calibration of the given stop rule."""
    policy = na.PolicySpec("fifo", 1) if policy is None else policy
    return na.Calibration(accuracy, error, 0.95, 100, leads, policy)


def whole(samples=4, **changes):
    """Return a recording until quiet, with some fields replaced."""
    made = record(relay(), [SpikeTrain([0, 0, 1000], [0, 1, 1])] * samples, RunSettings(Fifo(), 1))
    return replace(made, target=np.ones(samples, np.int64), **changes)


def confident():
    """Return a bundle with two calibrations."""
    return replace(
        relay(),
        policy=na.PolicySpec("fifo", 1),
        calibration=(calibration(), calibration(0.95, (9,))),
    )
