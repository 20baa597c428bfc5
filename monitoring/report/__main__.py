"""`python -m monitoring.report`: an older name of `gpu-fleet report`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
