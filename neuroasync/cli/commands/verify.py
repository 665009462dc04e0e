"""``neuroasync verify``: run the golden samples of a bundle and compare every spike."""

from typing import TYPE_CHECKING

from neuroasync.cli.exit_codes import CHECK_FAILED, CliError
from neuroasync.cli.options import JsonOption, NetworkArgument
from neuroasync.cli.output import echo_json
from neuroasync.cli.tables import echo, table

if TYPE_CHECKING:
    from neuroasync.core.formats.bundle import Bundle
    from neuroasync.replay import GoldenResult

__all__ = ["verify"]


def verify(bundle: NetworkArgument, json: JsonOption = False) -> int:
    """Run a bundle's golden samples and compare every spike.

    \b
    Example:
      neuroasync verify unlayered && echo "it fires as it was trained"

    A golden sample is an input together with the digest of all spikes that it must cause. The
    exit code is 1 if a golden sample fails.
    """  # noqa: D301  # \b keeps the line breaks of the example.
    from neuroasync.replay import verify as verify_golden
    from neuroasync.shipped import load_bundle

    network = load_bundle(bundle)
    if not network.golden:
        raise CliError(f"{bundle!r}: the bundle has no golden samples to verify")
    results = verify_golden(network)
    failed = sum(not result.holds for result in results)
    if json:
        samples = [_result_json(result) for result in results]
        echo_json({"sha256": network.digest.hex(), "holds": not failed, "samples": samples})
        return CHECK_FAILED if failed else 0
    titles = ("sample", "order", "spikes", "label", "sha256", "holds")
    rows = [
        (result.number, _order(network, result.number), result.spikes, *_outcome(result))
        for result in results
    ]
    verdict = f"{failed} of {len(results)} fail" if failed else f"all {len(results)} hold"
    echo(table(titles, rows, numbers=(0, 2)), "", f"{verdict}: network {network.digest.hex()}")
    return CHECK_FAILED if failed else 0


def _result_json(result: "GoldenResult") -> dict[str, object]:
    return {
        "sample": result.number,
        "holds": result.holds,
        "spikes": result.spikes,
        "label": result.label,
        "expected_label": result.expected_label,
        "sha256": result.digest.hex(),
        "expected_sha256": result.expected_digest.hex(),
    }


def _order(bundle: "Bundle", number: int) -> str:
    from neuroasync.cli.bundle_tables import policy_text

    return policy_text(bundle.golden[number].policy)


def _outcome(result: "GoldenResult") -> tuple[str, str, str]:
    """Return the cells for the label, the digest and whether both are as expected."""
    label = _label_text(result.label)
    if result.label != result.expected_label:
        label += f", not {_label_text(result.expected_label)}"
    digest = result.digest.hex()[:12]
    if result.digest != result.expected_digest:
        digest += f", not {result.expected_digest.hex()[:12]}"
    return label, digest, "yes" if result.holds else "NO"


def _label_text(label: int | None) -> str:
    return "none" if label is None else str(label)
