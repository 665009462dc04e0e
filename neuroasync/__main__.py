"""``python -m neuroasync``: the command line."""

from neuroasync.cli import main

if __name__ == "__main__":
    main()
