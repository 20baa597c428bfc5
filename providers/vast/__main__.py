"""`python -m providers.vast COMMAND`: an older name of `gpu-fleet COMMAND`, which schedules may still call."""

import runpy

if __name__ == "__main__":
    runpy.run_module("cli", run_name="__main__", alter_sys=True)
