"""The metrics in the text format of Prometheus."""

from collections.abc import Iterator, Sequence

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from neuroasync.serve.metrics import FAMILIES, MetricFamily, ServerMetrics

__all__ = ["CONTENT_TYPE", "format_metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _MetricsCollector(Collector):
    def __init__(self, metrics: ServerMetrics, names: Sequence[str]) -> None:
        self._metrics = metrics
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Yield all families and the latency histogram."""
        for family in FAMILIES:
            yield self._collect_family(family)
        latency = HistogramMetricFamily(
            "neuroasync_decision_latency_seconds",
            "Time from the last message that a decision needed to the decision, queueing included.",
            labels=["network"],
        )
        for k, name in enumerate(self._names):
            buckets, seconds = self._metrics.latency_histogram(k)
            latency.add_metric([name], buckets, seconds)
        yield latency

    def _collect_family(self, family: MetricFamily) -> Metric:
        kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        own_label = [family.label] if family.label else []
        labels = ["network", *own_label] if family.by_network else own_label
        metric = kind(f"neuroasync_{family.name}", family.help, labels=labels)
        for value in family.values:
            own_value = [value] if family.label else []
            if not family.by_network:
                metric.add_metric(own_value, self._metrics.total(family.name, value))
                continue
            for k, name in enumerate(self._names):
                metric.add_metric([name, *own_value], self._metrics.total(family.name, value, k))
        return metric


def format_metrics(metrics: ServerMetrics, names: Sequence[str]) -> bytes:
    """Return all metrics, summed over the workers.

    Args:
        metrics: The metrics of a server.
        names: Names of its networks.
    """
    # A registry for each call holds no state between calls and none of the global default metrics.
    registry = CollectorRegistry()
    registry.register(_MetricsCollector(metrics, names))
    return generate_latest(registry)
