"""Last words in memory."""

from providers.ledger.last_word import LastWord


class FakeWords:
    """Satisfies `LastWords`; `asked` are the ids that were asked for."""

    def __init__(self, words: dict[int, LastWord] | None = None) -> None:
        self.words = words or {}
        self.asked: list[int] = []

    def read(self, _mark: str, instance_id: int) -> LastWord | None:
        self.asked.append(instance_id)
        return self.words.get(instance_id)
