"""The cross-entropy of the passes of a batch, and its gradient; see ``neuroasync.train.losses``."""

import numpy as np

from neuroasync.core.kernels.jit import kernel

__all__ = ["pass_losses"]


@kernel
def pass_losses(outputs, labels, passes, scale, accumulates, gradient):
    """Return the mean cross-entropy of all passes of each sample, averaged over the samples.

    The gradient of a sample is that of softmax and cross-entropy, scale * (softmax - one_hot), over
    the number of its passes and over the number of samples. If outputs accumulate, an output counts
    in its pass and all later ones, so gradients are summed from the last pass to the first.

    Args:
        outputs: f32[B, T, classes], votes or potentials.
        labels: i64[B], the correct classes, from 0 to classes - 1.
        passes: i64[B], number of passes of each sample. Later passes do not count.
        scale: f64, factor of the outputs before the softmax.
        accumulates: Whether the outputs of earlier passes are added to those of each pass.
        gradient: f32[B, T, classes], written: the gradient with respect to ``outputs``.
    """
    samples, longest, classes = outputs.shape
    factor32 = np.float32(scale)  # infinite if it is too large, as in torch
    sums, logits = np.empty(classes, np.float32), np.empty(classes, np.float32)
    later = np.empty(classes, np.float64)  # A sample may have thousands of passes.
    total = 0.0
    for b in range(samples):
        count = max(0, min(passes[b], longest))
        factor = np.float32(factor32 / (samples * max(passes[b], 1)))
        of_sample = 0.0
        for c in range(classes):
            sums[c] = np.float32(0.0)
        for t in range(count):
            highest = np.float32(-np.inf)
            for c in range(classes):
                sums[c] = outputs[b, t, c] + (sums[c] if accumulates else np.float32(0.0))
                logits[c] = factor32 * sums[c]
                highest = max(highest, logits[c])
            sum_of_exps = np.float32(0.0)
            for c in range(classes):
                gradient[b, t, c] = np.exp(logits[c] - highest)
                sum_of_exps += gradient[b, t, c]
            of_sample += np.log(sum_of_exps) + highest - logits[labels[b]]
            for c in range(classes):
                gradient[b, t, c] *= factor / sum_of_exps
            gradient[b, t, labels[b]] -= factor
        gradient[b, count:] = 0
        if accumulates:
            later[:] = 0.0
            for t in range(count - 1, -1, -1):
                for c in range(classes):
                    later[c] += gradient[b, t, c]
                    gradient[b, t, c] = later[c]
        total += of_sample / max(passes[b], 1)
    return np.float32(total / samples)
