"""Write a network that ships with the package to a file, for use on the command line."""

import neuroasync
from neuroasync.shipped import shipped_bundle

neuroasync.write_bundle(shipped_bundle("unlayered"), "my.nab")
