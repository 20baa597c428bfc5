"""Run the cloud on this machine: `python -m sandbox COMMAND`; `--help` lists the commands."""

from sandbox.commands import sandbox

if __name__ == "__main__":
    sandbox(prog_name="python -m sandbox")
