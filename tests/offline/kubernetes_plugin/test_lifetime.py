"""The stand-in plugin ends with the engine that started it, however that ends."""

import subprocess
import sys

from offline.language_host import with_engine
from providers.engine_watch import Process
from tests.doubles.processes import descendants
from tests.doubles.until import until

ENGINE = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, {with_engine.__file__!r}, "-m", "offline.kubernetes_plugin"], stdout=sys.stdout)
time.sleep(600)
"""


def test_a_killed_engine_takes_the_stand_in_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        assert engine.stdout.readline().strip().isdigit()
        plugins: list[Process] = descendants(engine.pid)
        assert plugins

        engine.kill()

        until(lambda: not [one for one in plugins if one.alive()], "the stand-in to end")
