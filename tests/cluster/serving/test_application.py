"""The arguments of a config file are checked, and errors name them."""

import pytest
from ray.serve.exceptions import RayServeException

from neuroasync import write_bundle
from neuroasync.cluster.serving import app
from tests.helpers.small_networks import chain


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "`networks` is missing"),
        ({"networks": 3}, "`networks` must be the path of a bundle, .* got 3"),
        ({"networks": {}}, "`networks` must be"),
        ({"networks": {"a": None}}, "`networks` must be"),
        ({"networks": {3: "unlayered"}}, "the name of a network must be a printable string"),
        ({"networks": "unlayerd"}, "did you mean 'unlayered'"),
        ({"networks": "/no/such.nab"}, r"'/no/such.nab': .* \(read on .*; use an absolute path"),
        ({"network": "unlayered"}, "unknown argument 'network': known are networks, limits,"),
        ({"networks": "unlayered", "replicas": 3}, "set `num_replicas` of the deployment"),
        ({"networks": "unlayered", "token": "x"}, "NEUROASYNC_TOKEN"),
        ({"networks": "unlayered", "limits": 5}, "`limits` must be a map .* got 5"),
        ({"networks": "unlayered", "limits": {"sessions": 5}}, "unknown limit 'sessions': known"),
        ({"networks": "unlayered", "limits": {"max_cpu_s": "1"}}, "`max_cpu_s` must be"),
        ({"networks": "unlayered", "when_full": "wait"}, "`when_full` must be one of"),
        ({"networks": "unlayered", "allow_hosts": "a.com"}, "`allow_hosts` must be a list of text"),
        ({"networks": "unlayered", "allow_origins": [1]}, "`allow_origins` must be a list of text"),
        ({"networks": "unlayered", "allow_origins": ["a"]}, "origin"),
    ],
)
def test_wrong_argument_is_named(args, message):
    with pytest.raises(RayServeException, match=message):
        app(args)


def test_damaged_bundle_is_reported_with_its_path(tmp_path):
    file = tmp_path / "damaged.nab"
    write_bundle(chain(), file)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(RayServeException, match=rf"{file.name}.*\(read on "):
        app({"networks": str(file)})


def test_token_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("NEUROASYNC_TOKEN", "")
    with pytest.raises(RayServeException, match="`token` must not be empty"):
        app({"networks": "unlayered"})
