"""Cut the camera files of the tests from two recordings of Faery: `cut_recordings.py FOLDER`.

FOLDER holds `dvs.es` and `evt2.raw` from the folder `tests/data` of Faery.
"""

import sys
from pathlib import Path

import faery
import numpy as np

SOURCE = Path(sys.argv[1])
TARGET = Path(__file__).parents[1] / "tests" / "data" / "camera"
WORDS = 16_000  # 32-bit words of evt2.raw: 15,959 events in 0.7 ms.

# Keep every fourth pixel in each direction; the recording is 1 s long.
stream = faery.events_stream_from_file(SOURCE / "dvs.es")
events = stream.to_array()
kept = events[(events["x"] % 4 == 0) & (events["y"] % 4 == 0)]
faery.events_stream_from_array(np.ascontiguousarray(kept), stream.dimensions()).to_file(
    TARGET / "dvs.es"
)

# Keep the header and the first words.
data = (SOURCE / "evt2.raw").read_bytes()
start = data.index(b"\n", data.index(b"% evt ")) + 1
(TARGET / "evt2.raw").write_bytes(data[: start + 4 * WORDS])
