"""``neuroasync encode`` writes the windows of a recording as a spike file."""

import asyncio

import pytest

from neuroasync.core.formats.spike_file import read_spikes
from tests.helpers.watched_recording import RECORDING, SHAPE, streamed


def test_encoded_recording_has_the_windows_that_are_watched(cli, tmp_path):
    path = tmp_path / "windows.npz"
    result = cli("encode", RECORDING, "--shape", "2x34x34", "-o", path)
    assert result.exit_code == 0
    assert "1,734 events outside the view" in result.stdout
    spikes = read_spikes(path)
    expected = asyncio.run(streamed())
    assert (spikes.shape, spikes.labels) == (SHAPE, None)
    assert [len(train) for train in spikes] == [d.input_events for d in expected]
    assert all(train.t_us[-1] < 50_000 for train in spikes)


def test_encoded_recording_has_the_name_of_the_recording(cli, tmp_path):
    assert cli("encode", RECORDING, "--shape", "1x8x8", "--window", "100ms").exit_code == 0
    assert len(read_spikes(tmp_path / "dvs.npz")) == 10


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["digts"], "'digts' is neither a data set nor a file; did you mean 'digits'? data sets:"),
        ([RECORDING], "--shape is required for a recording: the input shape of the network"),
        ([RECORDING, "--shape", "34x34"], "--shape must be 3 integers such as 2x34x34"),
        ([RECORDING, "--shape", "3x34x34"], "--shape must be an input shape (2, H, W)"),
        ([RECORDING, "--shape", "2x34x34", "--data", "x"], "--data applies to a data set only"),
        ([RECORDING, "--shape", "2x9x9", "--coding", "rate"], "--coding applies to a data set"),
        ([RECORDING, "--shape", "2x9x9", "--window", "1 h"], "must be a whole number of µs"),
        ([RECORDING, "--shape", "2x9x9", "--view", "999,0,1"], "none of the 29,589 events"),
        (["digits", "--window", "50ms"], "--window applies to a recording only"),
        (["digits", "--sensor", "9x9"], "--sensor applies to a recording only"),
        ([__file__, "--shape", "2x9x9"], "the file must be a recording in AEDAT4"),
    ],
)  # fmt: skip
def test_encode_tells_what_is_wrong(cli, tmp_path, args, error):
    result = cli("encode", *args, "-o", tmp_path / "out.npz")
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr
    assert not (tmp_path / "out.npz").exists()
