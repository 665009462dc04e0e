"""Fixture: one local Ray cluster of two workers for all tests."""

import gc
import warnings

import pytest

pytest.importorskip("ray", reason="needs ray: pip install 'neuroasync[ray]'")

import ray

from neuroasync.cluster import Cluster


@pytest.fixture(scope="session")
def dashboard():
    """The address of the dashboard of a Ray cluster of two workers on this machine."""
    context = ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=True,
        object_store_memory=200_000_000,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        yield f"http://{context.dashboard_url}"
    finally:
        # Ray does not wait for the processes that it ends, which Python would report at any time
        # from then on, also during the shutdown.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            ray.shutdown()
            gc.collect()


@pytest.fixture(scope="session")
def cluster(dashboard):
    """The connection to the cluster."""
    del dashboard
    with Cluster() as cluster:
        yield cluster
