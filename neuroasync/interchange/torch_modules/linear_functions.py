"""The functions of torch that are linear, as steps of linear expressions.

Weights are read in float64, so that a composition of steps is rounded to float32 once. Batch
normalization with stored statistics multiplies channel c by ``weight / sqrt(var + eps)`` and adds
``bias - mean * weight / sqrt(var + eps)`` (Ioffe and Szegedy, arXiv 1502.03167).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from neuroasync.interchange.torch_modules.expressions import Kernel, LinearStep

__all__ = ["CREATING", "JOINING", "KEEPS_ORDER", "linear_step", "name_of", "wide"]

Arguments: TypeAlias = Mapping[str, Any]
Affine: TypeAlias = tuple[LinearStep, Tensor | None]
"""A linear step, and the constant that the function adds after it."""

JOINING: Final = frozenset({"add", "sub", "rsub", "cat", "concat", "concatenate", "stack"})
"""Functions of several tensors that are linear in all of them together."""

CREATING: Final = frozenset({
    "zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like", "new_zeros",
    "new_ones", "new_empty", "new_full", "new_tensor",
})  # fmt: skip
"""Functions whose result has nothing to do with the values of their argument."""

KEEPS_ORDER: Final = frozenset({
    "clone", "contiguous", "cpu", "detach", "flatten", "float", "identity", "reshape",
    "requires_grad", "squeeze", "to", "type", "unflatten", "unsqueeze", "view", "view_as",
    "reshape_as", "alias",
})  # fmt: skip
"""Functions that keep all values in their order."""
_LINEAR: Final = frozenset({
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "avg_pool1d", "avg_pool3d", "chunk", "double",
    "expand", "flip", "getitem", "mean", "movedim", "narrow", "neg", "permute", "pixel_shuffle",
    "repeat", "roll", "select", "split", "sum", "swapaxes", "t", "transpose", "unbind", "iter",
})  # fmt: skip
"""Other functions of one tensor that are linear and have no weights."""
_CONVOLUTIONS: Final = frozenset({"conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d"})


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a torch function, without the underscores of operators and in-place ones.

    An in-place operator such as ``+=`` has the name of the function that it calls.
    """
    name = str(getattr(function, "__name__", function)).strip("_")
    return {"iadd": "add", "isub": "sub", "radd": "add", "imul": "mul", "rmul": "mul",
            "truediv": "div", "itruediv": "div"}.get(name, name)  # fmt: skip


def wide(value: Any) -> Any:
    """Return floating-point tensors, also in lists, as detached ones of float64."""
    if isinstance(value, Tensor):
        return value.detach().double() if value.is_floating_point() else value
    if isinstance(value, list | tuple):
        return type(value)(wide(v) for v in value) if type(value) in (list, tuple) else value
    return value


def linear_step(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Arguments, label: str
) -> Affine | None:
    """Return what ``function(*args, **kwargs)`` does to its first argument, a traced tensor.

    Args:
        function: The function of torch.
        args: Its arguments. Only the first is traced.
        kwargs: Its keyword arguments.
        label: What to call the step in an error.

    Returns:
        The step, and the constant that the function adds; None if it is not known to be linear.
    """
    name, x, rest = name_of(function), args[0], [wide(a) for a in args[1:]]
    keywords = {key: wide(value) for key, value in kwargs.items()}
    if name in KEEPS_ORDER:
        if name in {"to", "type"}:
            is_rounded = function(*args, **kwargs).dtype not in (torch.float32, torch.float64)
            return None if is_rounded else (LinearStep(label, lambda v: v, is_reshape=True), None)
        return LinearStep(label, lambda v: function(v, *rest, **keywords), is_reshape=True), None
    if name in {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}:
        is_training = _bound(("p", "training"), rest, keywords).get("training", True)
        return None if is_training else (LinearStep(label, lambda v: v, is_reshape=True), None)
    if name in _LINEAR or (name == "pad" and _pads_with_zeros(rest, keywords)):
        return LinearStep(label, lambda v: function(v, *rest, **keywords)), None
    if name in {"mul", "div"}:
        return _scale(function, x, rest, keywords, label)
    handler = _HANDLERS.get(name)
    return None if handler is None else handler(function, x, rest, keywords, label)


def _scale(
    function: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine | None:
    given = _bound(("other",), rest, keywords)
    if given.get("rounding_mode") is not None:
        return None

    def apply(v: Tensor) -> Tensor:
        return torch.as_tensor(function(v, *rest, **keywords))

    factor = None
    # One factor for all channels, or one for each, is a factor of a convolution.
    other = torch.as_tensor(given["other"])
    if x.ndim == 4 and (other.numel() == 1 or tuple(other.shape[-3:]) == (x.shape[1], 1, 1)):
        factor = apply(torch.ones(1, x.shape[1], 1, 1, dtype=torch.float64)).reshape(-1)
    has_weights = isinstance(given["other"], Tensor)
    return LinearStep(label, apply, factor=factor, has_weights=has_weights), None


def _linear(
    _: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine:
    given = _bound(("weight", "bias"), rest, keywords)
    step = LinearStep(label, lambda v: functional.linear(v, given["weight"]), has_weights=True)
    return step, given.get("bias")


def _matmul(
    _: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine:
    (weight,) = [*rest, *keywords.values()]
    return LinearStep(label, lambda v: v @ weight, has_weights=True), None


def _convolution(
    function: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine:
    names = ("weight", "bias", "stride", "padding")
    given = _bound(names, rest[:4], keywords)
    others = {key: value for key, value in given.items() if key != "bias"}
    apply = partial(_apply_convolution, function, others, rest[4:])
    bias = given.get("bias")
    constant = None if bias is None else bias.reshape(-1, *(1,) * (given["weight"].ndim - 2))
    return LinearStep(label, apply, has_weights=True), constant


def _apply_convolution(
    function: Callable[..., Any], given: Arguments, rest: Sequence[Any], v: Tensor
) -> Tensor:
    stride, padding = given.get("stride", 1), given.get("padding", 0)
    extra = {k: v for k, v in given.items() if k not in ("weight", "stride", "padding")}
    return torch.as_tensor(function(v, given["weight"], None, stride, padding, *rest, **extra))


def _conv2d(
    function: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine:
    names = ("weight", "bias", "stride", "padding", "dilation", "groups")
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | _bound(names, rest, keywords)
    step, constant = _convolution(function, x, rest, keywords, label)
    is_plain = given["groups"] == 1 and _pair(given["dilation"]) == (1, 1) and x.ndim == 4
    if not is_plain or isinstance(given["padding"], str):
        return step, constant
    kernel = Kernel(given["weight"], _pair(given["stride"]), _pair(given["padding"]), _extent(x))
    return LinearStep(label, step.apply, kernel=kernel, has_weights=True), constant


def _avg_pool2d(
    function: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine:
    names = (
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    )
    given = _bound(names, rest, keywords)
    size = _pair(given["kernel_size"])
    kernel = None
    is_plain = not given.get("ceil_mode") and given.get("divisor_override") is None
    if is_plain and _pair(given.get("padding") or 0) == (0, 0) and x.ndim == 4:
        kernel = _pool(x, size, given.get("stride"), 1 / math.prod(size))
    return LinearStep(label, lambda v: function(v, *rest, **keywords), kernel=kernel), None


def _lp_pool2d(
    function: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine | None:
    given = _bound(("norm_type", "kernel_size", "stride", "ceil_mode"), rest, keywords)
    if given["norm_type"] != 1:
        return None  # Only the sum is linear.
    size, stride = _pair(given["kernel_size"]), given.get("stride")
    ceil = bool(given.get("ceil_mode"))

    def apply(v: Tensor) -> Tensor:
        return functional.avg_pool2d(v, size, stride, 0, ceil) * math.prod(size)

    kernel = None if ceil or x.ndim != 4 else _pool(x, size, stride, 1.0)
    return LinearStep(label, apply, kernel=kernel), None


def _batch_norm(
    _: Callable[..., Any], x: Tensor, rest: Sequence[Any], keywords: Arguments, label: str
) -> Affine | None:
    names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    given = _bound(names, rest, keywords)
    if given.get("training") or given.get("running_var") is None:
        return None  # The statistics are those of the batch.
    factor = 1 / torch.sqrt(given["running_var"] + given.get("eps", 1e-5))
    if given.get("weight") is not None:
        factor = factor * given["weight"]
    constant = -given["running_mean"] * factor
    if given.get("bias") is not None:
        constant = constant + given["bias"]
    shape = (-1, *(1,) * (x.ndim - 2))
    step = LinearStep(
        label, lambda v: v * factor.reshape(shape), factor=factor if x.ndim == 4 else None
    )
    return step, constant.reshape(shape)


def _pool(x: Tensor, size: tuple[int, int], stride: Any, value: float) -> Kernel:
    channels = x.shape[1]
    weight = torch.zeros(channels, channels, *size, dtype=torch.float64)
    weight[range(channels), range(channels)] = value
    return Kernel(weight, _pair(stride) if stride else size, (0, 0), _extent(x))


def _extent(x: Tensor) -> tuple[int, int]:
    return int(x.shape[-2]), int(x.shape[-1])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, *others = value
    return int(first), int(others[0] if others else first)


def _pads_with_zeros(rest: Sequence[Any], keywords: Arguments) -> bool:
    given = _bound(("pad", "mode", "value"), rest, keywords)
    return given.get("mode", "constant") != "constant" or not given.get("value")


def _bound(names: Sequence[str], rest: Sequence[Any], keywords: Arguments) -> dict[str, Any]:
    return dict(zip(names, rest, strict=False)) | dict(keywords)


_HANDLERS: Final[Mapping[str, Callable[..., Affine | None]]] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "conv2d": _conv2d,
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    "avg_pool2d": _avg_pool2d,
    "lp_pool2d": _lp_pool2d,
    "batch_norm": _batch_norm,
}
