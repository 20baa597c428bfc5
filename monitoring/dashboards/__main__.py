"""`python -m monitoring.dashboards`: an older name of `gpu-fleet dashboards`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(["dashboards", *sys.argv[1:]]))
