"""Make the camera files of the tests from two recordings of Faery's: `cut_recordings.py FOLDER`.

FOLDER has `dvs.es` and `evt2.raw`, of Faery's `tests/data`.
"""

import sys
from pathlib import Path

import faery
import numpy as np

SOURCE = Path(sys.argv[1])
TARGET = Path(__file__).parents[1] / "tests" / "data" / "camera"
WORDS = 16_000  # of evt2.raw: 15,959 events in 0.7 ms

# Every fourth pixel each way, 1 s long.
stream = faery.events_stream_from_file(SOURCE / "dvs.es")
events = stream.to_array()
kept = events[(events["x"] % 4 == 0) & (events["y"] % 4 == 0)]
faery.events_stream_from_array(np.ascontiguousarray(kept), stream.dimensions()).to_file(
    TARGET / "dvs.es"
)

# The header, and the first words.
data = (SOURCE / "evt2.raw").read_bytes()
start = data.index(b"\n", data.index(b"% evt ")) + 1
(TARGET / "evt2.raw").write_bytes(data[: start + 4 * WORDS])
