"""A network checks its arguments and options when it is created."""

import numpy as np
import pytest

import neuroasync as na
from tests.helpers.relay_streams import RELAY
from tests.helpers.small_networks import chain, sample

BUNDLE = chain()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"policy": "fastest"}, na.PolicyError),
        ({"policy": object()}, na.PolicyError),
        ({"until": "votes(0)"}, na.StopRuleError),
        ({"until": "votes(1,2)"}, na.StopRuleError),
        ({"until": "steps(1,2)"}, na.StopRuleError),
        ({"until": "margin(0,0)"}, na.StopRuleError),
        ({"until": "margin(1,)"}, na.StopRuleError),
        ({"until": "margin(1,-1)"}, na.StopRuleError),
        ({"until": f"margin({'1,' * 4096}1)"}, na.StopRuleError),
        ({"until": na.StopRule("margin")}, na.StopRuleError),
        ({"group_size": 0}, ValueError),
        ({"input": "first"}, ValueError),
        ({"engine": "fast"}, ValueError),
        ({"seed": -1}, ValueError),
    ],
)
def test_options_out_of_range_are_rejected_immediately(options, error):
    with pytest.raises(error):
        na.Network(BUNDLE, **options)


def test_async_stop_rule_object_is_rejected():
    class Rule:
        async def __call__(self, progress):
            return False

    with pytest.raises(na.StopRuleError, match="must be a plain function, got the async"):
        na.Network(BUNDLE, until=Rule())


def test_policy_without_an_order_method_is_rejected():
    class Mine(na.LayerSync):
        pass

    with pytest.raises(na.PolicyError, match="or an object with order"):
        na.Network(BUNDLE, policy=Mine())


def test_async_stop_rule_function_is_rejected():
    async def until(progress):
        return True

    with pytest.raises(na.StopRuleError, match="must be a plain function, got the async"):
        na.Network(BUNDLE, until=until)


def test_policy_class_instead_of_an_instance_is_rejected():
    class Mine:
        def order(self, pending, group_size):
            return np.arange(pending.neuron.size)

    with pytest.raises(na.PolicyError, match=r"must be one of .*, or an object with order"):
        na.Network(BUNDLE, policy=Mine)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bundle": "x.nab"}, r"^`bundle` must be a Bundle, got str; Network\.load\(path\) reads"),
        ({"populations": [1]}, r"^`populations` must map names of populations to coroutine functi"),
        ({"populations": {"output": 3}}, r"^populations\['output'\] must be a coroutine function"),
    ],
)
def test_wrong_types_of_network_arguments_are_rejected(arguments, message):
    with pytest.raises(TypeError, match=message):
        na.Network(**{"bundle": chain(), **arguments})


@pytest.mark.parametrize("clock", [10, na.RealTimeClock])
def test_invalid_clock_is_rejected(clock):
    with pytest.raises(
        TypeError, match=r"^`clock` must be a clock, such as RealTimeClock\(\), got "
    ):
        na.Network(RELAY, clock=clock)


async def test_unknown_option_is_rejected_with_the_valid_ones():
    with pytest.raises(
        TypeError, match=r"^'untill' is not an option; the options are policy, group"
    ):
        na.Network(RELAY, untill="quiet")
    async with na.Network(RELAY) as network:
        with pytest.raises(TypeError, match=r"^'untill' is not an option; the options are policy"):
            await network.decide(sample(), untill="quiet")


def test_policy_with_an_async_order_is_refused():
    class Slow:
        async def order(self, pending, group_size):
            return [0]

    error = r"must be an object whose order is a plain function, got the async Slow\.order"
    with pytest.raises(na.PolicyError, match=error):
        na.Network(chain(), policy=Slow())
