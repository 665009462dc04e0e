"""Networks behind a websocket: the ``neuroasync serve`` command, or an ASGI app (extra ``serve``).

A client of ``/stream`` sends its samples in chunks, in the formats of :mod:`neuroasync.messages`.
For each sample it receives one decision, or a message that explains why there is none::

    {"sample": 3, "error": "index[7] must be from 0 to 63, got 64", "dropped": false}

The server numbers samples from 0 in the order in which they are sent. Sample n runs with
``sample_seed(seed, n)``, as sample n of a data set does in ``neuroasync run``, regardless of the
outcome of earlier samples. The query of the address selects the network by its name, ``network``,
and how samples run: ``policy``, ``group_size``, ``until``, ``input`` and ``seed``. With
``provisional=1``, the client also receives a provisional decision each time another class takes the
lead.

The counters of ``/metrics`` balance: sent == accepted + dropped + refused, once no sample is open.
"""

try:
    from neuroasync.serve.app import create_app
    from neuroasync.serve.limits import ServerLimits
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"serving needs {error.name}: pip install 'neuroasync[serve]'", name=error.name
    ) from error

__all__ = ["ServerLimits", "create_app"]
