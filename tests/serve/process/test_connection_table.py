"""The connection table keeps the number of connections, and what they hold, within the limits."""

import dataclasses
import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroasync.serve.process import connection_table
from neuroasync.serve.process.connection_limits import ConnectionLimits, files_for_connections
from neuroasync.serve.process.connection_table import ConnectionTable, address_key


class Harness:
    """A table with a clock that stands still, and the connections that it closed."""

    def __init__(self, **limits):
        self.now_s = 0.0
        self.closed = []
        self.reasons = []
        self.table = ConnectionTable(
            ConnectionLimits(**limits), lambda: self.now_s, self.reasons.append
        )

    def admit(self, name, address="10.0.0.1", timeout_s=None):
        """Admit a connection with a name, which waits for its client if there is a timeout."""
        slot = self.table.admit(address, lambda reason: self.closed.append((name, reason)))
        if slot is not None and timeout_s is not None:
            self.table.wait_for_client(slot, timeout_s)
        return slot


def test_new_connection_takes_the_place_of_the_one_that_has_waited_longest():
    h = Harness(max_connections=3)
    h.admit("busy")
    h.admit("first", timeout_s=9)
    h.admit("second", timeout_s=5)
    assert h.admit("new") is not None
    assert h.closed == [("first", "room")]
    assert len(h.table) == 3


def test_connection_is_refused_if_no_other_one_waits_for_its_client():
    h = Harness(max_connections=2)
    h.admit("a")
    waiting = h.admit("b", timeout_s=1)
    h.table.stop_waiting(waiting)
    assert h.admit("c") is None
    h.table.release(waiting)
    h.table.release(waiting)
    assert h.admit("d") is not None
    assert (h.closed, h.reasons) == ([], ["room"])


def test_address_has_its_own_limit_and_loses_its_own_connections_only():
    h = Harness(max_connections_per_address=2)
    h.admit("other", "10.0.0.2", timeout_s=1)
    h.admit("a", timeout_s=1)
    h.admit("b")
    assert h.admit("c", "::ffff:10.0.0.1") is not None
    assert h.closed == [("a", "room")]
    assert h.admit("d") is None


def test_by_default_only_other_machines_have_a_limit_for_each_address():
    h = Harness(max_connections=1000)
    assert sum(h.admit(k, "127.0.0.1") is not None for k in range(300)) == 300
    assert sum(h.admit(k, "10.0.0.1") is not None for k in range(300)) == 256


def test_only_connections_that_are_overdue_are_closed():
    h = Harness()
    late, done, early = (h.admit(n, timeout_s=t) for n, t in (("late", 5), ("done", 1), ("", 9)))
    h.table.stop_waiting(done)
    h.now_s = 5.0
    h.table.close_overdue()
    h.table.close_overdue()
    assert h.closed == [("late", "timeout")]
    h.table.wait_for_client(late, 1)
    h.table.release(late)
    h.now_s = 8.0
    h.table.close_overdue()
    assert len(h.closed) == 1
    assert early is not None


def test_the_longest_holder_ends_if_all_hold_too_much():
    h = Harness(max_unfinished_bytes=100)
    a, b, c = (h.admit(name) for name in "abc")
    h.table.hold(a, 40)
    h.table.hold(b, 40)
    h.table.hold(a, 50)
    h.table.hold(c, 20)
    assert h.closed == [("a", "room")]
    h.table.hold(a, 1000)  # It has left the table.
    h.table.hold(c, 70)
    assert h.closed == [("a", "room"), ("b", "room")]


def test_complete_requests_are_counted_but_do_not_end_for_others():
    h = Harness(max_unfinished_bytes=100)
    complete, new = h.admit("complete"), h.admit("new")
    h.table.hold(complete, 80)
    h.table.stop_waiting(complete)
    h.table.hold(new, 30)
    assert h.closed == [("new", "room")]


def test_websockets_leave_room_for_other_requests():
    h = Harness(max_connections=20)
    slots = [h.admit(k) for k in range(20)]
    assert [h.table.upgrade(slot) for slot in slots] == [True] * 18 + [False] * 2
    h.table.release(slots[0])
    assert h.table.upgrade(slots[19])


@given(
    limit=st.integers(1, 6),
    actions=st.lists(
        st.tuples(st.sampled_from("awsrhu"), st.integers(0, 9), st.integers(0, 60)), max_size=60
    ),
)
def test_no_sequence_of_events_exceeds_a_limit_or_loses_a_connection(limit, actions):
    h = Harness(max_connections=limit, max_unfinished_bytes=100)
    slots = []
    for action, k, n in actions:
        if action == "a":
            slot = h.admit(len(slots))
            slots += [] if slot is None else [slot]
        elif slots:
            slot = slots[k % len(slots)]
            if action == "w":
                h.table.wait_for_client(slot, n)
            elif action == "s":
                h.table.stop_waiting(slot)
            elif action == "r":
                h.table.release(slot)
            elif action == "h":
                h.table.hold(slot, n)
            elif action == "u" and not slot.is_websocket:
                h.table.upgrade(slot)
            assert sum(s.held for s in slots) <= 160
        assert len(h.table) <= limit
    for slot in slots:
        h.table.release(slot)
    assert len(h.table) == 0
    assert h.admit("after") is not None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", "local"),
        ("127.9.9.9", "local"),
        ("::1", "local"),
        ("::ffff:127.0.0.1", "local"),
        ("", "local"),
        (None, "local"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/socket", "/run/socket"),
    ],
)
def test_addresses_are_counted_as_a_client_can_choose_them(address, key):
    assert address_key(address) == key


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [(256, 256, 3072, 192), (100, 100, 3072, 50), (1024, 4096, 3072, 3072), (1024, 1024, 500, 500),
     (-1, -1, 3072, 3072), (256, -1, 3072, 3072)],
)  # fmt: skip
def test_limit_of_open_files_is_raised_or_limits_the_connections(
    monkeypatch, soft, hard, wanted, expected
):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert files_for_connections(wanted) == expected


@pytest.mark.parametrize("field", dataclasses.fields(ConnectionLimits), ids=lambda f: f.name)
@pytest.mark.parametrize("value", [0, -1, float("nan"), "1", True, 2**31])
def test_limits_out_of_range_raise_value_error(field, value):
    with pytest.raises(ValueError, match=f"^`{field.name}` must be an? .*, got {value!r}$"):
        ConnectionLimits(**{field.name: value})


def test_allocator_returns_large_blocks_while_clients_hold_much(monkeypatch):
    sizes = []
    monkeypatch.setattr(connection_table, "set_mmap_threshold", sizes.append)
    h = Harness()
    slot = h.admit("large")
    h.table.hold(slot, 2**22)
    assert not sizes
    h.table.hold(slot, 2**22 + 1)
    h.table.hold(slot, 2**23)
    h.table.return_memory()
    assert sizes == [2**14]
    h.table.hold(slot, 2**20)
    h.table.return_memory()
    h.table.return_memory()
    assert sizes == [2**14, 2**22]


def test_memory_returns_after_many_connections_have_ended(monkeypatch):
    calls = []
    monkeypatch.setattr(connection_table, "return_free_memory", lambda: calls.append("return"))
    monkeypatch.setattr(gc, "collect", lambda: calls.append("collect"))
    h = Harness()
    slots = [h.admit(k, "127.0.0.1") for k in range(300)]
    for slot in slots[:100]:
        h.table.release(slot)
    h.table.return_memory()
    assert not calls
    for slot in slots[100:150]:
        h.table.release(slot)
    h.table.return_memory()
    h.table.return_memory()
    assert calls == ["return"]  # A full collection would take long beside so many connections.
    for slot in slots[150:200]:
        h.table.release(slot)
    h.table.return_memory()
    h.table.return_memory()
    assert calls == ["return", "collect", "return"]
