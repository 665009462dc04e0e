"""All bounds in one place, with the memory that each costs at its default.

Limits are checked before anything is allocated. Functions that can work with a larger limit take it
as an argument.
"""

from typing import Final

MAX_BUNDLE_BYTES: Final = 256 * 2**20
"""Size of a bundle file in bytes. Decoding needs about twice that."""

MAX_NEURONS: Final = 2**24
"""Neurons of a network. A session holds 13 to 69 bytes per neuron, and up to 300 more during a
forward pass: 6 GiB at this bound."""

MAX_INPUTS: Final = 2**24
"""Size of the flattened input. A running forward pass takes one bit per input: 2 MiB."""

MAX_POPULATIONS: Final = 4096
"""Populations of a network. Each may be a coroutine, of about 1 KiB."""

MAX_CONNECTIONS: Final = 16384
"""Connections of a network. Each takes a row of 144 bytes, besides its weights."""

MAX_DIMENSIONS: Final = 8
"""Dimensions of a shape."""

MAX_NAME_CHARS: Final = 128
"""Characters in the name of a population or a class."""

MAX_META_ENTRIES: Final = 1024
"""Entries in the ``meta`` map of a bundle."""

MAX_TEXT_CHARS: Final = 65536
"""Characters in one text value of a bundle."""

MAX_GOLDEN: Final = 256
"""Golden samples in a bundle."""

MAX_LEADS: Final = 4096
"""Leads of a margin rule, one per forward pass; 8 bytes each."""

MAX_CALIBRATIONS: Final = 64
"""Calibrations in a bundle."""

MAX_RUN_MODES: Final = 256
"""Run modes in a distribution over them, or in a certificate."""

MAX_MODE_WEIGHT: Final = 1_000_000
"""Weight of a run mode in a distribution."""

MAX_CERTIFIED_ORDERS: Final = 4096
"""Orders in which a certificate states the result of a run mode; 8 bytes each."""

MAX_TIME_US: Final = 2**53
"""Largest time, delay or timestep, in µs (285 years). A float64 represents it exactly."""

MAX_VALUE: Final = 2**24
"""Largest magnitude of the value of an input event. A float32 represents every integer up to
it exactly, and a sum of such values stays far from the largest float32."""

MAX_SPIKE_FILE_BYTES: Final = 2**31
"""Size of a spike file or a recording in bytes, counted in its unpacked arrays."""

MAX_PASSES: Final = 10_000_000
"""Forward passes of one sample. Without this bound, one stray late event would cause years of empty
timesteps."""

MAX_FORWARD_STEPS: Final = 1_000_000
"""Forward steps of one pass. Only a loop of neurons without refractoriness comes near it."""

FORWARD_STEPS_HARD_LIMIT: Final = 2**27
"""Largest value of the option ``max_forward_steps``: kernels number the groups of a pass in 32
bits."""

MAX_QUEUED_EVENTS: Final = 1_000_000
"""Input events that a session holds for its next forward pass; 16 bytes each, 16 MB."""

MAX_TAP_ITEMS: Final = 1024
"""Groups of spikes that a tap buffers for a slow reader. Older ones are dropped and counted."""

REPORT_TIMEOUT_S: Final = 60.0
"""Seconds that a decision waits for a custom population to report on a group."""

MAX_MESSAGE_BYTES: Final = 2**20
"""Size of a stream message in bytes: about 260,000 events as JSON. Reading one takes 30 MB."""

MAX_QUEUED_PACKETS: Final = 256
"""Packets that a UDP source buffers for its reader. A packet has at most 64 KiB, which become
256 KiB of events, so the buffer takes at most 64 MiB. Packets usually have 512 bytes."""

MAX_CHUNK_EVENTS: Final = 65_536
"""Events in one chunk of a source, if more have arrived; 16 bytes each, 1 MiB."""

MAX_HDF5_BLOCK_BYTES: Final = 2**26
"""Size of a block of an HDF5 file, unpacked, in bytes. Up to four are cached: 256 MiB."""
