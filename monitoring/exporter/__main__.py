"""`python -m monitoring.exporter`: an older name of `gpu-fleet exporter`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(["exporter", *sys.argv[1:]]))
