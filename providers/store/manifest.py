"""`python -m providers.store.manifest`: an older name of `gpu-fleet manifest`."""

import sys

from cli.main import main

if __name__ == "__main__":
    sys.exit(main(["manifest", *sys.argv[1:]]))
