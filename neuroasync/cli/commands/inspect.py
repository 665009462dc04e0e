"""``neuroasync inspect``: show what a bundle contains."""

from neuroasync.cli.options import BundlePath
from neuroasync.cli.tables import echo, key_value_table

__all__ = ["inspect"]


def inspect(bundle: BundlePath) -> None:
    """Show what a bundle contains: neurons, connections, metadata.

    \b
    Example:
      neuroasync inspect net.nab

    Reading a bundle checks its digest and every field, and executes nothing.
    """  # noqa: D301  # \b keeps the line breaks of the example.
    from neuroasync.cli.bundle_tables import (
        bundle_facts,
        calibration_table,
        connection_table,
        population_table,
    )
    from neuroasync.core.formats.bundle import read_bundle

    network = read_bundle(bundle)
    echo(
        key_value_table([("file", bundle), *bundle_facts(network, bundle.stat().st_size)]),
        "",
        population_table(network),
        "",
        connection_table(network),
    )
    if network.calibration:
        echo("", calibration_table(network.calibration))
    if network.meta:
        echo("", key_value_table([("meta", ""), *network.meta.items()]))
