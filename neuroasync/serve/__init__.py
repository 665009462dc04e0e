"""A network behind a websocket: ``neuroasync serve``, or an app within yours (extra ``serve``).

A client of ``/stream`` sends the parts of its samples, :mod:`neuroasync.messages` says how, and
gets one decision for each, or is told why there is none::

    {"sample": 3, "error": "index[7]: 64, expected 0 to 63, the network's inputs", "dropped": false}

Samples are numbered from 0 as they are sent. Sample number n runs with ``sample_seed(seed, n)``, as
sample n of a data set does in ``neuroasync run``, whatever became of those before. The query of
the address says how: ``policy``, ``group_size``, ``until``, ``input``, ``seed``, and
``provisional=1`` to be told each time that another class leads.

The counts of ``/metrics`` add up: sent == accepted + dropped + refused, once no sample is open.
"""

try:
    from neuroasync.serve.app import create_app
    from neuroasync.serve.limits import ServerLimits
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"serving needs {error.name}: install neuroasync with its extra 'serve'", name=error.name
    ) from error

__all__ = ["ServerLimits", "create_app"]
