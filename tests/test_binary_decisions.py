"""Binary messages with decisions are written by a kernel, with the bytes of the general encoder."""

import json
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuroasync as na
from neuroasync.core.kernels.layout import Control, Votes
from neuroasync.core.kernels.messages.binary_decisions import max_size, write_decision
from neuroasync.core.kernels.voting import leader
from neuroasync.messages import format_decision

VOTES_AT = len(Control)

COUNTS = st.one_of(
    st.integers(0, 300),
    st.sampled_from([2**k + d for k in (7, 8, 16, 32) for d in (-1, 0)]),
    st.integers(0, 2**53),
)
"""Numbers of every size that MessagePack distinguishes."""


def written(votes, names, sample, spikes, rounds, latency_ms):
    """Return the message that the kernel writes; ``votes`` are i64[5, classes]."""
    classes = votes.shape[1]
    head = np.zeros(VOTES_AT + votes.size, np.int64)
    head[VOTES_AT:] = votes.ravel()
    head[Control.SPIKES], head[Control.ROUNDS] = spikes, rounds
    packed = [msgpack.packb(name) for name in names or ()]
    texts = np.frombuffer(bytearray(b"".join(packed)), np.uint8)
    ends = np.cumsum([len(text) for text in packed], dtype=np.int64)
    room = max_size(classes, texts.size)
    message = np.full(room + 2, 0x5A, np.uint8)
    size = write_decision(head, VOTES_AT, classes, texts, ends, sample, latency_ms, message[1:-1])
    assert message[0] == message[-1] == 0x5A
    return message[1 : size + 1].tobytes()


def table(counts, latest):
    """Return the votes of classes with these counts, which they reached at these times."""
    votes = np.zeros((len(Votes), len(counts)), np.int64)
    votes[Votes.COUNT], votes[Votes.LATEST] = counts, latest
    return votes


@given(st.data(), st.lists(COUNTS, min_size=1, max_size=20), COUNTS, COUNTS, COUNTS)
def test_kernel_writes_the_bytes_of_the_general_encoder(data, counts, sample, spikes, rounds):
    classes = len(counts)
    latest = data.draw(st.lists(st.integers(0, 9), min_size=classes, max_size=classes))
    texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
    names = data.draw(st.none() | st.lists(texts, min_size=classes, max_size=classes))
    latency_ms = data.draw(st.floats())
    votes = table(counts, latest)
    label = int(leader(votes))
    fields = {
        "sample": sample,
        "label": None if label < 0 else label,
        "class_name": None if label < 0 or names is None else names[label],
        "votes": counts,
        "spikes": spikes,
        "rounds": rounds,
        "latency_ms": latency_ms,
        "final": True,
    }
    assert written(votes, names, sample, spikes, rounds, latency_ms) == msgpack.packb(fields)


@pytest.mark.parametrize("classes", [15, 16, 65535, 65536])
def test_number_of_classes_has_the_shortest_form(classes):
    counts = [2**40] * classes
    message = written(table(counts, [0] * classes), None, 2**40, 2**40, 2**40, 1e6)
    assert msgpack.unpackb(message)["votes"] == counts
    assert message.count(msgpack.packb(counts)) == 1


@pytest.mark.parametrize("names", [None, ("0", "ä" * 40, "left " * 25)])
@pytest.mark.parametrize("neuron", [na.LIF(), na.LI()], ids=["votes", "potentials"])
async def test_binary_and_text_messages_have_the_same_fields(neuron, names):
    populations = (na.Population("output", (3,), neuron),)
    model = na.Model(
        1000, (3,), populations, (na.Dense("input", "output", 2 * np.eye(3, dtype=np.float32)),),
        "output",
    )  # fmt: skip
    async with na.Network(na.Bundle(model, classes=names)) as network:
        for events in ([], [0], [0, 1], [2, 2, 1], [1] * 300):
            decision = await network.decide((np.arange(len(events)) * 1000, events))
            for said in (decision, replace(decision, is_final=False)):
                for sample, latency_ms in (
                    (1000, 12.345),
                    (0, 0.0),
                    (2**63 - 1, 1.0),
                    (5, 31.7595),
                ):
                    binary = format_decision(said, sample, latency_ms, binary=True)
                    fields = json.loads(format_decision(said, sample, latency_ms))
                    assert binary == msgpack.packb(fields)
                    assert fields["spikes"] == sum(decision.spikes.values())
