"""``neuroasync compare``: table, JSON and picture."""

import json

from neuroasync.cli.exit_codes import ExitCode
