"""Decisions, studies, training and serving on a Ray cluster. This package needs the extra ``ray``.

Ray starts the workers, moves the data and repeats what a lost worker did. A sample's seed depends
on nothing but its number, so that the decisions are those of :meth:`neuroasync.Network.decide_all`,
to the bit, wherever the samples are decided.
"""

try:
    import ray  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"running on a cluster needs {error.name}: pip install 'neuroasync[ray]', or "
        "'neuroasync[ray,serve]' to serve and 'neuroasync[ray,train]' to train on it",
        name=error.name,
    ) from error

from neuroasync.cluster.batch_decider import BatchDecider
from neuroasync.cluster.cluster import Cluster
from neuroasync.cluster.tasks import ClusterError

__all__ = ["BatchDecider", "Cluster", "ClusterError"]
