"""Acts again and again in a thread of its own, as a client does while the test does something else."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Answer = TypeVar("Answer")
END_SECONDS = 60.0


@contextlib.contextmanager
def repeated(act: Callable[[], Answer], pause_seconds: float) -> Iterator[list[Answer]]:
    """Call `act` until the block ends; yield the list that its answers go to. Raises what `act` raised, at the end."""
    answers: list[Answer] = []
    raised: list[BaseException] = []
    over = threading.Event()

    def run() -> None:
        try:
            while not over.is_set():
                answers.append(act())
                over.wait(pause_seconds)
        except BaseException as error:  # noqa: BLE001 -- raised again in the test's own thread
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join(END_SECONDS)
    if raised:
        raise raised[0]
