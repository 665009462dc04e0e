"""Every bound in one place, with what it costs in memory at its default.

Limits are checked before anything is allocated. A caller who needs more passes a larger
limit where the function takes one.
"""

from typing import Final

MAX_BUNDLE_BYTES: Final = 256 * 2**20
"""Largest bundle that is read. Decoding needs about twice that."""

MAX_NEURONS: Final = 2**24
"""Neurons of a network. A session holds 13 to 69 bytes a neuron, and up to 300
more while a pass is under way: 6 GiB at this bound."""

MAX_INPUTS: Final = 2**24
"""Size of the flattened input. A pass that is under way takes a bit for each: 2 MiB."""

MAX_POPULATIONS: Final = 4096
"""Populations of a network; each may be a coroutine (some 1 KiB)."""

MAX_CONNECTIONS: Final = 16384
"""Connections of a network; each has a row of 144 bytes."""

MAX_DIMENSIONS: Final = 8
"""Dimensions of a shape."""

MAX_NAME_CHARS: Final = 128
"""Characters in the name of a population or a class."""

MAX_META_ENTRIES: Final = 1024
"""Entries in a bundle's ``meta`` map."""

MAX_TEXT_CHARS: Final = 65536
"""Characters in one text value of a bundle."""

MAX_GOLDEN: Final = 256
"""Golden samples in a bundle."""

MAX_LEADS: Final = 4096
"""Leads of a margin rule, one for each pass; 8 bytes each."""

MAX_CALIBRATIONS: Final = 64
"""Calibrations in a bundle."""

MAX_TIME_US: Final = 2**53
"""Largest time, delay or timestep, in µs (285 years): exact as a float64, too."""

MAX_SPIKE_FILE_BYTES: Final = 2**31
"""Largest spike file or recording, counted in its unpacked arrays."""

MAX_PASSES: Final = 10_000_000
"""Passes of one sample: a stray late event must not cost years of empty bins."""

MAX_FORWARD_STEPS: Final = 1_000_000
"""Forward steps of one pass; only a loop without refractoriness comes near it."""

FORWARD_STEPS_CEILING: Final = 2**27
"""What ``max_forward_steps`` can be: kernels number the groups of a pass in 32 bits."""

MAX_QUEUED_EVENTS: Final = 1_000_000
"""Input events that a session holds for the pass to come; 16 bytes each, 16 MB."""

MAX_TAP_ITEMS: Final = 1024
"""Groups of spikes that a tap holds for a slow reader; older ones are dropped and counted."""

REPORT_TIMEOUT_S: Final = 60.0
"""How long a decision waits for a population of the user's to report on a group, s."""

MAX_MESSAGE_BYTES: Final = 2**20
"""Largest message of a stream, in bytes: some 260,000 events as JSON; 30 MB while it is read."""

MAX_QUEUED_PACKETS: Final = 256
"""Packets of a UDP source that wait for their reader: up to 64 KiB each, 64 MiB altogether; as a
rule 512 bytes each."""

MAX_PART_EVENTS: Final = 65_536
"""Events in one part of a source, where more have come; 16 bytes each, 1 MiB."""
