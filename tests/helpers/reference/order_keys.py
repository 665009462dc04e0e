"""Order keys in plain integers, written from the specification."""


def order_key(seed: int, pass_index: int, step: int, neuron: int) -> int:
    """Return the order key of a spike."""
    golden, wrap = 0x9E3779B97F4A7C15, 2**64
    h = mix((seed + golden) % wrap)
    h = mix((h + golden * (pass_index + 1)) % wrap)
    h = mix((h + golden * (step + 1)) % wrap)
    return mix((h + golden * (neuron + 1)) % wrap)


def mix(z: int) -> int:
    """Return the output function of SplitMix64 for a state."""
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 % 2**64
    z ^= z >> 27
    z = z * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def sample_seed(seed: int, sample: int) -> int:
    """Return the seed of a sample."""
    return mix((seed + 0x9E3779B97F4A7C15 * (sample + 1)) % 2**64)
