"""What a provider process does when it is cancelled, and when it is told to end in the middle of a create."""

import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from providers.provider_process import allow_open_files
from tests.doubles.dynamic_process import DynamicProcess, ProviderError
from tests.doubles.renting_provider import RentingProvider
from tests.doubles.until import until


def creating(process: DynamicProcess, folder: Path) -> threading.Thread:
    """A create that runs in the process; its error is nobody's, as after a second Ctrl-C."""

    def create() -> None:
        with pytest.raises(ProviderError):
            process.create({"folder": str(folder)})

    caller = threading.Thread(target=create)
    caller.start()
    until((folder / "began").exists, "the create to begin")
    return caller


def test_a_cancelled_create_says_once_what_it_takes_and_what_another_interrupt_does(tmp_path: Path) -> None:
    with DynamicProcess(RentingProvider()) as process:
        process.configure({})
        caller = creating(process, tmp_path)

        process.cancel()
        assert process.says("chat-0  finishing  ^C again gives it back")
        process.cancel()

        process.process.kill()
        caller.join()
        assert process.output.count("finishing") == 1


def test_an_idle_process_has_nothing_to_finish_and_may_have_later(tmp_path: Path) -> None:
    with DynamicProcess(RentingProvider()) as process:
        process.configure({})
        process.cancel()
        caller = creating(process, tmp_path)
        assert "finishing" not in process.output

        process.cancel()  # only what there was to say counts as said
        assert process.says("finishing")
        process.process.kill()
        caller.join()


def test_a_create_that_is_told_to_end_gives_back_out_of_reach_of_the_signal_that_follows(tmp_path: Path) -> None:
    with DynamicProcess(RentingProvider()) as process:
        process.configure({})
        caller = creating(process, tmp_path)

        os.kill(process.process.pid, signal.SIGINT)

        assert process.says("given back: this command was interrupted", 60)
        caller.join()
        assert process.process.wait(timeout=60) is not None
        assert int((tmp_path / "group").read_text()) == process.process.pid != os.getpgid(0)


def test_every_create_that_is_told_to_end_gives_back(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(6)]  # more than the SDK serves at once
    with DynamicProcess(RentingProvider()) as process:
        process.configure({})
        callers = []
        for folder in folders:
            folder.mkdir()
            callers.append(creating(process, folder))

        os.kill(process.process.pid, signal.SIGINT)

        until(lambda: all((folder / "group").exists() for folder in folders), "every create to give back")
        for caller in callers:
            caller.join()


def test_open_files_are_allowed_up_to_the_hard_bound_and_never_taken_away() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
        allow_open_files(200)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
