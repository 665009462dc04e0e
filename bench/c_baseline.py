"""The C baseline: a dense stack with the same semantics in a small C loop, without Python.

There are two loops: a plain one, and one with vectors, which shows how fast a decision can be. They
are compiled for this machine at first use and called through ctypes.
"""

import ctypes
import math
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroasync import Dense, Model, SpikeTrain

__all__ = ["CLoop", "CLoopResult", "compiler", "fits"]

_LANES: Final = 16
_FLAGS: Final = ("-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC")
_POLICIES: Final = {"layer-sync": 0, "random": 1, "momentum": 2, "fifo": 3}
_COUNTERS: Final = ("steps", "rounds", "synops", "spikes", "delivered", "label")
_SCALARS: Final = ("layers", "inputs", "timestep_us", "policy", "group_size", "subtract")
_ARRAYS: Final = (
    "size", "start", "stride", "offset", "weight", "decay", "threshold", "v", "momentum",
    "current", "refractory", "neuron", "layer", "key", "chosen", "group", "group_layer", "times",
    "present", "arrived", "reached", "votes", "latest", "rows", "slots",
)  # fmt: skip


class _Net(ctypes.Structure):
    """``Net`` of ``c_baseline.c``: numbers, then pointers, in the order of the C declaration."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _SCALARS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        ("capacity", ctypes.c_int64),
    )


@dataclass(frozen=True, slots=True)
class CLoopResult:
    """Label (None: no vote) and counts of a sample, as in a ``Decision``."""

    label: int | None
    votes: tuple[int, ...]
    steps: int
    rounds: int
    synops: int
    spikes: int


class CLoop:
    """A dense stack that the C loop runs until quiet, with prioritised input.

    Args:
        model: a model for which :func:`fits` is true.
        policy: ``"layer-sync"``, ``"random"``, ``"momentum"`` or ``"fifo"``.
        group_size: the group size F.
        capacity: maximum number of spikes per sample that :meth:`fired` and :meth:`delivered` keep.
        vectorised: whether to run the loop of ``c_vectorised.c``, which gives the same spikes in
            the random order without a branch that depends on a key.

    Raises:
        ValueError: the model is not a plain dense stack.
        RuntimeError: there is no C compiler, or compiling fails.
    """

    def __init__(
        self,
        model: Model,
        policy: str,
        group_size: int,
        capacity: int = 2**16,
        *,
        vectorised: bool = False,
    ) -> None:
        if not fits(model):
            raise ValueError(
                "model must be a plain stack of dense layers; see bench.c_baseline.fits"
            )
        library = _library()
        self._decide = library.decide_vectorised if vectorised else library.decide
        self._arrays = _layout(model) | _scratch(model, capacity)
        self._counters = np.zeros(len(_COUNTERS), np.int64)
        pointers = {name: array.ctypes.data for name, array in self._arrays.items()}
        self._net = _Net(
            layers=len(model.populations),
            inputs=model.input_size,
            timestep_us=model.timestep_us,
            policy=_POLICIES[policy],
            group_size=group_size,
            subtract=model.populations[0].neuron.reset == "subtract",
            capacity=capacity,
            **{name: pointers[name] for name in _ARRAYS},
        )
        self._reference = ctypes.byref(self._net)
        self._counters_at = self._counters.ctypes.data

    def decide(self, train: SpikeTrain, seed: int) -> CLoopResult:
        """Decide on one sample from rest; ``seed`` is the seed of its order keys."""
        self._decide(
            self._reference,
            train.t_us.ctypes.data,
            train.index.ctypes.data,
            train.t_us.size,
            seed,
            self._counters_at,
        )
        steps, rounds, synops, spikes, _, label = self._counters.tolist()
        votes = tuple(self._arrays["votes"].tolist())
        return CLoopResult(None if label < 0 else label, votes, steps, rounds, synops, spikes)

    def fired(self) -> NDArray[np.int64]:
        """Return the spikes of the latest sample in firing order, i64[spikes, 3].

        The columns are pass, step and neuron.
        """
        return self._logged("rows", "spikes")

    def delivered(self) -> NDArray[np.int64]:
        """Return the spikes delivered (except input) in slot order, i64[deliveries, 3]."""
        return self._logged("slots", "delivered")

    def _logged(self, name: str, counter: str) -> NDArray[np.int64]:
        count = int(self._counters[_COUNTERS.index(counter)])
        if count > self._net.capacity:
            raise ValueError(
                f"{counter} must be at most {self._net.capacity}, the log capacity, got {count}"
            )
        return self._arrays[name][:count].astype(np.int64)


def fits(model: Model) -> bool:
    """Return whether the C loop can run the model.

    It runs stacks of dense layers, each connected to the next, whose neurons share a reset and are
    refractory. Time constants and thresholds are numbers; biases, delays and event-driven input
    (``timestep_us`` = 0) are not supported.
    """
    names = ["input", *(p.name for p in model.populations)]
    stack = [(c.source, c.target) for c in model.connections] == list(pairwise(names))
    neurons = [p.neuron for p in model.populations]
    return (
        stack
        and model.timestep_us > 0
        and model.output == names[-1]
        and all(isinstance(c, Dense) and c.bias is None for c in model.connections)
        and not any(c.delay_us for c in model.connections)
        and all(n.refractory and n.reset == neurons[0].reset for n in neurons)
        and not any(n.sync_threshold for n in neurons)
        and all(isinstance(x, float) for n in neurons for x in (n.tau_mem_us, n.v_threshold))
    )


def compiler() -> str | None:
    """Return the path of the C compiler, or None if there is none."""
    return shutil.which("cc")


@cache
def _library() -> ctypes.CDLL:
    cc = compiler()
    if cc is None:
        raise RuntimeError("no C compiler: `cc` is not on the path; install one (gcc, clang)")
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "c_baseline.so"
        source = Path(__file__).with_name("c_vectorised.c")  # includes c_baseline.c
        command = [cc, *_FLAGS, str(source), "-o", str(built)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        library = ctypes.CDLL(str(built))  # The library stays loaded after its file is deleted.
    at, number = ctypes.c_void_p, ctypes.c_int64
    for function in (library.decide, library.decide_vectorised):
        function.argtypes = [at, at, at, number, ctypes.c_uint64, at]
        function.restype = None
    return library


def _layout(model: Model) -> dict[str, NDArray[np.generic]]:
    sizes = np.array([p.size for p in model.populations], np.int64)
    strides = -(-sizes // _LANES) * _LANES
    rows = []
    for connection, size, stride in zip(model.connections, sizes, strides, strict=True):
        row = _aligned((connection.weight.shape[1], int(stride)), np.float32)
        row[:, :size] = connection.weight.T
        rows.append(row)
    weight = np.array([row.ctypes.data for row in rows], np.int64)
    neurons = [p.neuron for p in model.populations]
    decay = [math.exp(-model.timestep_us / float(n.tau_mem_us)) for n in neurons]
    return {
        "size": sizes,
        "start": np.array(model.starts[:-1], np.int64),
        "stride": strides,
        "offset": np.concatenate(([0], np.cumsum(strides)[:-1])),
        "weight": weight,
        "decay": np.array(decay, np.float32),
        "threshold": np.array([n.v_threshold for n in neurons], np.float32),
    } | {
        f"rows of weight {k}": row for k, row in enumerate(rows)
    }  # The dictionary keeps the rows alive.


def _scratch(model: Model, capacity: int) -> dict[str, NDArray[np.generic]]:
    layers, neurons, inputs = len(model.populations), model.size, model.input_size
    classes = model.populations[-1].size
    padded = sum(-(-p.size // _LANES) * _LANES for p in model.populations)
    shapes: dict[str, tuple[type[np.generic], int | tuple[int, ...]]] = {
        **dict.fromkeys(("v", "momentum", "current"), (np.float32, padded)),
        "refractory": (np.int32, padded),
        **dict.fromkeys(("neuron", "layer", "chosen"), (np.int32, neurons + 1)),
        "key": (np.uint64, neurons + 1),
        **dict.fromkeys(("group", "group_layer"), (np.int32, inputs + neurons)),
        "times": (np.float32, inputs),
        "present": (np.uint64, inputs // 64 + 1),
        **dict.fromkeys(("arrived", "reached"), (np.int32, layers)),
        **dict.fromkeys(("votes", "latest"), (np.int64, classes)),
        **dict.fromkeys(("rows", "slots"), (np.int32, (capacity, 3))),
    }
    return {name: _aligned(shape, dtype) for name, (dtype, shape) in shapes.items()}


def _aligned(shape: int | tuple[int, ...], dtype: type[np.generic]) -> NDArray[np.generic]:
    """Return zeros whose address is a multiple of 64 bytes, for aligned vector loads."""
    wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(wanted + 64, np.uint8)
    at = -raw.ctypes.data % 64
    return raw[at : at + wanted].view(dtype).reshape(shape)
