"""The cloud on this machine: `python -m sandbox up|down|clean|status|faults|fault|key`."""

from sandbox.commands import sandbox

if __name__ == "__main__":
    sandbox(prog_name="python -m sandbox")
