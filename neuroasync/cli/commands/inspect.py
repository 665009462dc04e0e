"""``neuroasync inspect``: show what a bundle contains."""

from neuroasync.cli.options import JsonOption, NetworkArgument
from neuroasync.cli.output import echo_json
from neuroasync.cli.tables import echo, key_value_table

__all__ = ["inspect"]


def inspect(bundle: NetworkArgument, json: JsonOption = False) -> None:
    """Show what a bundle contains: neurons, connections, metadata.

    \b
    Example:
      neuroasync inspect unlayered

    Reading a bundle checks its digest and every field, and executes nothing.
    """  # noqa: D301  # \b keeps the line breaks of the example.
    from neuroasync.cli.bundle_tables import (
        bundle_facts,
        bundle_json,
        calibration_table,
        certificate_pairs,
        connection_table,
        population_table,
    )
    from neuroasync.shipped import load_bundle

    network = load_bundle(bundle)
    if json:
        echo_json(bundle_json(network))
        return
    echo(
        key_value_table([("network", bundle), *bundle_facts(network)]),
        "",
        population_table(network),
        "",
        connection_table(network),
    )
    if network.calibration:
        echo("", calibration_table(network.calibration))
    if network.certificate is not None:
        pairs = certificate_pairs(network.certificate)
        echo("", key_value_table([("certificate", "accuracy in sampled orders"), *pairs]))
    if network.meta:
        echo("", key_value_table([("meta", ""), *network.meta.items()]))
