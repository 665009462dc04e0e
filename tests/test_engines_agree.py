"""Oracle, state machine and compiled loop fire the same spikes on networks drawn at random."""

from functools import partial

import oracle
from engines import compiled, stepwise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import models, spike_trains

from neuroasync.errors import ForwardStepLimitError
from neuroasync.policies import Fifo, LayerSync, Momentum, Random

moderate = partial(
    settings,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
STEP_LIMIT = 40
POLICIES = (LayerSync(), Random(), Momentum(), Momentum(noise=0.5), Fifo())
RULES = ("quiet", "quiet", "first-spike", "votes(2)", "margin(2)", "steps(0)", "steps(2)")
MODES = st.sampled_from(("prioritised", "queued"))
SEEDS = st.integers(0, 2**64 - 1)
SIZES = st.integers(1, 8)


@st.composite
def runs(draw, networks, policies=POLICIES, rules=RULES, sizes=SIZES):
    """Arguments of an engine."""
    model = draw(networks)
    unit = model.timestep_us or 500
    return {
        "model": model,
        "train": draw(spike_trains(model)),
        "policy": draw(st.sampled_from(policies)),
        "group_size": draw(sizes),
        "input_mode": draw(MODES),
        "seed": draw(SEEDS),
        "until": draw(st.sampled_from(rules)),
        "duration_us": draw(st.sampled_from((None, None, unit, 7 * unit, 2 * unit + 1))),
        "max_forward_steps": STEP_LIMIT,
    }


def outcome(engine, run):
    """What the engine returns, or that a pass reached its limit of steps."""
    try:
        return engine(**run)
    except ForwardStepLimitError:
        return "limit"


@given(run=runs(models()))
@moderate(max_examples=300)
def test_all_engines_do_what_the_contract_says(run):
    expected = outcome(oracle.run, run)
    assert outcome(stepwise, run) == expected
    assert outcome(compiled, run) == expected
