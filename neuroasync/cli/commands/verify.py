"""``neuroasync verify``: is the network that runs here the one that was trained?"""

from neuroasync.cli.exit_codes import NO, CliError
from neuroasync.cli.options import BundlePath
from neuroasync.cli.output import say, table
from neuroasync.core.formats.bundle import Bundle, read_bundle
from neuroasync.replay import GoldenResult
from neuroasync.replay import verify as verify_golden

__all__ = ["verify"]


def verify(bundle: BundlePath) -> int:
    """Run a bundle's golden samples, here, and compare every spike.

    \b
    Example:
      neuroasync verify net.nab && echo "it fires as it was trained"

    A golden sample is an input with the digest of all spikes that it must give. The exit code
    is 1 if one fails.
    """  # noqa: D301  # \b keeps the example's lines
    network = read_bundle(bundle)
    if not network.golden:
        raise CliError(f"{str(bundle)!r}: has no golden samples; nothing to verify")
    results = verify_golden(network)
    failed = sum(not result.holds for result in results)
    titles = ("golden sample", "order", "spikes", "label", "digest (sha256)", "holds")
    rows = [
        (result.number, _order(network, result.number), result.spikes, *_found(result))
        for result in results
    ]
    ending = f"{failed} of {len(results)} fail" if failed else f"all {len(results)} hold"
    say(table(titles, rows, numbers=(0, 2)), "", f"{ending}: network {network.digest.hex()}")
    return NO if failed else 0


def _order(bundle: Bundle, number: int) -> str:
    policy = bundle.golden[number].policy
    return f"{policy.name}, F = {policy.group_size}, {policy.input} input"


def _found(result: GoldenResult) -> tuple[str, str, str]:
    label = _named(result.label)
    if result.label != result.expected_label:
        label += f", not {_named(result.expected_label)}"
    digest = result.digest.hex()[:12]
    if result.digest != result.expected_digest:
        digest += f", not {result.expected_digest.hex()[:12]}"
    return label, digest, "yes" if result.holds else "NO"


def _named(label: int | None) -> str:
    return "none" if label is None else str(label)
