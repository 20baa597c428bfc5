"""`python -m monitoring.criteria`: an older name of `gpu-fleet criteria`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(["criteria", *sys.argv[1:]]))
