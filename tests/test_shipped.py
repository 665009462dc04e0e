"""Shipped networks and samples are found by name; everything else is a path."""

from pathlib import Path

import pytest

from neuroasync import Network, read_bundle, read_spikes, write_bundle, write_spikes
from neuroasync.errors import BundleError, SpikeFileError
from neuroasync.shipped import (
    NETWORK_FILES,
    NETWORKS,
    SAMPLE_FILES,
    load_bundle,
    load_spikes,
    shipped_bundle,
    shipped_file,
    shipped_spikes,
)
from tests.helpers.cli_files import golden_bundle, some_trains


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NETWORK_FILES)
def test_every_network_loads_by_name_from_any_folder(name):
    assert load_bundle(name) == shipped_bundle(name) == Network.load(name).bundle


@pytest.mark.parametrize("name", SAMPLE_FILES)
def test_all_samples_load_by_name_and_have_labels(name):
    spikes = load_spikes(name)
    assert spikes == shipped_spikes(name)
    assert spikes.labels is not None


def test_event_camera_samples_have_the_shape_of_the_sensor():
    spikes = load_spikes("nmnist")
    assert (len(spikes), spikes.shape) == (100, (2, 34, 34))


def test_networks_to_compare_are_shipped_networks():
    assert set(NETWORKS) <= set(NETWORK_FILES)


def test_names_of_networks_and_samples_differ():
    assert not set(NETWORK_FILES) & set(SAMPLE_FILES)


@pytest.mark.parametrize("source", ["./unlayered", Path("unlayered")])
def test_path_of_a_file_never_means_a_shipped_network(source):
    write_bundle(golden_bundle(), "unlayered")
    assert load_bundle(source) == golden_bundle()
    assert load_bundle("unlayered") == shipped_bundle("unlayered")


@pytest.mark.parametrize("source", ["./digits", Path("digits")])
def test_path_of_a_file_never_means_shipped_samples(source):
    Path("digits").write_bytes(b"")
    write_spikes(some_trains(), "digits")
    assert load_spikes(source) == some_trains()
    assert len(load_spikes("digits")) == 360


def test_bytes_and_other_paths_are_read():
    with shipped_file(NETWORK_FILES["queued"]) as path:
        assert load_bundle(path.read_bytes()) == load_bundle(str(path)) == read_bundle(path)
    with shipped_file(SAMPLE_FILES["digits"]) as path:
        assert load_spikes(path.read_bytes()) == load_spikes(str(path)) == read_spikes(path)


NETWORK_LIST = f"shipped networks: {', '.join(NETWORK_FILES)}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "unlayerd",
            "'unlayerd' is neither a file nor the name of a shipped network; did you mean "
            f"'unlayered'? {NETWORK_LIST}",
        ),
        (
            "unlayered.nab",
            "'unlayered.nab' is neither a file nor the name of a shipped network; did you mean "
            f"'unlayered'? {NETWORK_LIST}",
        ),
        (
            "xyz",
            f"'xyz' is neither a file nor the name of a shipped network; {NETWORK_LIST}",
        ),
        ("digits", "'digits' is the name of shipped samples, not of a shipped network"),
        ("my.nab", "'my.nab': cannot be read: No such file or directory"),
        ("./unlayered", "'./unlayered': cannot be read: No such file or directory"),
        ("", "'': cannot be read: No such file or directory"),
    ],
)
def test_name_that_nothing_has_is_rejected_with_a_hint(name, message):
    with pytest.raises(BundleError) as caught:
        load_bundle(name)
    assert str(caught.value) == message


def test_samples_that_nothing_has_are_rejected_with_a_hint():
    samples = ", ".join(SAMPLE_FILES)
    with pytest.raises(SpikeFileError) as caught:
        load_spikes("Digit")
    assert str(caught.value) == (
        "'Digit' is neither a file nor the name of shipped samples; did you mean 'digits'? "
        f"shipped samples: {samples}"
    )
    with pytest.raises(SpikeFileError, match="'queued' is the name of a shipped network, not of"):
        load_spikes("queued")


def test_unknown_shipped_thing_is_rejected_with_a_hint():
    with pytest.raises(BundleError, match="'layerd' is not the name of a shipped network; did"):
        shipped_bundle("layerd")
    with pytest.raises(SpikeFileError, match="'rate' is not the name of shipped samples; shipped"):
        shipped_spikes("rate")
