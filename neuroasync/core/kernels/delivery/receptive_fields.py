"""The outputs of a convolution that a source neuron reaches."""

from neuroasync.core.kernels.jit import kernel
from neuroasync.core.kernels.layout import Connections

__all__ = ["receptive_field"]


@kernel
def receptive_field(row, source):
    """Return the outputs of a convolution whose receptive fields contain a source neuron.

    Args:
        row: i64[18], the connection.
        source: flattened index of the source neuron.

    Returns:
        y and x of the source with padding, then first y, last y, first x and last x of the
        outputs. The ranges are empty if no output has the source in its receptive field.
    """
    place = source % (row[Connections.HEIGHT_IN] * row[Connections.WIDTH_IN])
    y = place // row[Connections.WIDTH_IN] + (row[Connections.PADDING] >> 20)
    x = place % row[Connections.WIDTH_IN] + (row[Connections.PADDING] & 0xFFFFF)
    stride_y, stride_x = row[Connections.STRIDE] >> 20, row[Connections.STRIDE] & 0xFFFFF
    first_y = max(0, (y - row[Connections.KERNEL_Y] + stride_y) // stride_y)
    first_x = max(0, (x - row[Connections.KERNEL_X] + stride_x) // stride_x)
    last_y = min(row[Connections.HEIGHT_OUT] - 1, y // stride_y)
    last_x = min(row[Connections.WIDTH_OUT] - 1, x // stride_x)
    return y, x, first_y, last_y, first_x, last_x
