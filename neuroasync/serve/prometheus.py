"""The metrics in the text format of Prometheus."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from neuroasync.serve.metrics import FAMILIES, ServerMetrics

__all__ = ["CONTENT_TYPE", "format_metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _MetricsCollector(Collector):
    def __init__(self, metrics: ServerMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield all families and the latency histogram."""
        for family in FAMILIES:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            labels = [family.label] if family.label else []
            metric = kind(f"neuroasync_{family.name}", family.help, labels=labels)
            for value in family.values:
                count = self._metrics.total(family.name, value)
                metric.add_metric([value] if labels else [], count)
            yield metric
        buckets, seconds = self._metrics.latency_histogram()
        yield HistogramMetricFamily(
            "neuroasync_decision_latency_seconds",
            "Time from the last message that a decision needed to the decision, queueing included.",
            buckets=buckets,
            sum_value=seconds,
        )


def format_metrics(metrics: ServerMetrics) -> bytes:
    """Return all metrics, summed over the workers."""
    # A registry for each call holds no state between calls and none of the global default metrics.
    registry = CollectorRegistry()
    registry.register(_MetricsCollector(metrics))
    return generate_latest(registry)
