"""The counts in the text format of Prometheus."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from neuroasync.serve.metrics import FAMILIES, ServerMetrics

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _Counts(Collector):
    def __init__(self, tally: ServerMetrics) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """The families, and the histogram."""
        for family in FAMILIES:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            labels = [family.label] if family.label else []
            metric = kind(f"neuroasync_{family.name}", family.help, labels=labels)
            for value in family.values:
                count = self._tally.total(family.name, value)
                metric.add_metric([value] if labels else [], count)
            yield metric
        buckets, seconds = self._tally.buckets()
        yield HistogramMetricFamily(
            "neuroasync_decision_latency_seconds",
            "From the message that completed a sample to its decision, waiting included.",
            buckets=buckets,
            sum_value=seconds,
        )


def exposition(tally: ServerMetrics) -> bytes:
    """All counts, summed over the workers."""
    registry = CollectorRegistry()
    registry.register(_Counts(tally))
    return generate_latest(registry)
