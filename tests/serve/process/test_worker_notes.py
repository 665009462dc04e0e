"""Worker processes tell once that kernels are compiled."""

import logging
from ctypes import c_double

import pytest

from neuroasync.core.compilation_log import compilation_log
from neuroasync.serve.limits import ServerLimits
from neuroasync.serve.metrics import ServerMetrics
from neuroasync.serve.process import supervisor
from neuroasync.serve.process.connection_limits import ConnectionLimits


def test_only_the_first_worker_tells_that_kernels_are_compiled(monkeypatch):
    options = supervisor.ServerOptions(
        {"net": "net.nab"}, "127.0.0.1", 0, 2, ServerLimits(), ConnectionLimits(), "block", None,
        (), (), 1.0,
    )  # fmt: skip
    monkeypatch.setattr(supervisor, "_serve_listener", lambda *_: True)
    monkeypatch.setattr(compilation_log, "handlers", [])
    cells = (c_double * (2 * ServerMetrics.SIZE))()
    for worker, is_shown in ((0, True), (1, False)):
        with pytest.raises(SystemExit, match="0"):
            supervisor._run_worker(options, None, cells, worker, None)
        assert compilation_log.isEnabledFor(logging.WARNING) is is_shown
    compilation_log.setLevel(logging.NOTSET)
