"""Run the command line with ``python -m neuroasync``."""

from neuroasync.cli import main

if __name__ == "__main__":
    main()
