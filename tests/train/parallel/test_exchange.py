"""Workers give each other data, and notice if they do not have the same."""

import copy

import pytest
import torch.distributed as dist

from neuroasync.train.parallel.exchange import broadcast_bytes, check_equal
from neuroasync.train.parallel.process_group import ProcessGroupExchange
from tests.helpers.thread_exchange import in_threads


@pytest.mark.parametrize("data", [b"", b"some data"])
def test_all_workers_get_the_data_of_the_first(data):
    def work(exchange):
        return broadcast_bytes(exchange, data if exchange.worker == 0 else b"other data")

    assert in_threads(3, work) == [data] * 3


def test_a_difference_is_an_error_on_every_worker():
    def check(exchange, parts):
        try:
            check_equal(exchange, parts[exchange.worker], "they differ")
        except ValueError as error:
            return str(error)
        return None

    assert in_threads(3, lambda e: check(e, [b"a", b"a", b"a"])) == [None] * 3
    assert in_threads(3, lambda e: check(e, [b"a", b"a", b"b"])) == ["they differ"] * 3
    assert in_threads(2, lambda e: check(e, [b"b", b"a"])) == ["they differ"] * 2


def test_an_exchange_needs_a_process_group():
    with pytest.raises(ValueError, match=r"call `init_process_group\('gloo'\)` first"):
        ProcessGroupExchange()


def test_a_group_of_one_process_exchanges_nothing_and_cannot_be_copied():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        exchange = ProcessGroupExchange()
        assert (exchange.worker, exchange.workers) == (0, 1)
        assert broadcast_bytes(exchange, b"data") == b"data"
        with pytest.raises(TypeError, match="make one in each process of the group"):
            copy.copy(exchange)
    finally:
        dist.destroy_process_group()


def test_an_exchange_needs_a_group_with_this_process_and_with_gloo(monkeypatch):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with pytest.raises(ValueError, match="`group` must have this process as a member"):
            ProcessGroupExchange(dist.GroupMember.NON_GROUP_MEMBER)
        monkeypatch.setattr(dist, "get_backend_config", lambda group: "cuda:nccl")
        with pytest.raises(ValueError, match="`group` must be one with the backend gloo"):
            ProcessGroupExchange()
    finally:
        dist.destroy_process_group()
