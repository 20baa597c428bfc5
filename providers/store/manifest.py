"""`python -m providers.store.manifest`: an older name of `gpu-fleet manifest`."""

import runpy
import sys

if __name__ == "__main__":
    sys.argv.insert(1, "manifest")
    runpy.run_module("cli", run_name="__main__", alter_sys=True)
