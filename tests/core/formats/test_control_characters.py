"""Errors show untrusted text without the control characters in it."""

import pytest

from neuroasync.core.formats.bundle import read_bundle
from neuroasync.core.formats.spike_file import read_spikes
from neuroasync.core.model.checks import printable
from neuroasync.core.model.topology import parse_topology
from neuroasync.errors import BundleError, MessageError, ModelError, SourceError, SpikeFileError
from neuroasync.messages import parse_events
from neuroasync.sources.cameras.recording_files import open_recording
from tests.helpers.malformed_files import (
    archive,
    body_of,
    npy_header,
    npy_raw,
    pack,
    rich_bundle,
    seal,
    spike_members,
)

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("caf\u00e9", "caf\u00e9"), (RED, r"\x1b[31m"), ("a\nb", r"a\nb"), ("\u2028", r"\u2028")],
)
def test_text_is_shown_as_it_is_or_escaped(text, expected):
    assert printable(text) == expected
    assert printable("x" * 100) == "x" * 80


def bundle_with_a_key():
    read_bundle(seal(pack(body_of(rich_bundle()) | {RED: 1})))


def array_of_a_type():
    header = npy_header("<\x1b8", "(4,)")
    read_spikes(archive(spike_members(labels=npy_raw(header, bytes(32)))))


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (bundle_with_a_key, BundleError),
        (array_of_a_type, SpikeFileError),
        (lambda: parse_events(f'{{"{RED}": 1}}'.replace("\x1b", "\\u001b")), MessageError),
        (lambda: parse_topology(f"timestep_us=1000 {RED}=2"), ModelError),
        (lambda: parse_topology(f"timestep_us={RED}"), ModelError),
        (lambda: parse_topology(f"timestep_us=1; input 4; a d{RED}"), ModelError),
    ],
)
def test_escape_sequence_does_not_reach_the_terminal(read, error):
    with pytest.raises(error, match="x1b") as caught:
        read()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("header", [f"% evt {RED}\n% end\n", f"% Version {RED}\n\0\x08"])
def test_version_of_a_recording_is_shown_without_escape_sequences(header, tmp_path):
    (tmp_path / "a").write_bytes(header.encode())
    with (
        pytest.raises(SourceError, match=r"\\x1b\[31m.* is") as caught,
        open_recording(tmp_path / "a"),
    ):
        pass
    assert str(caught.value).isprintable()
