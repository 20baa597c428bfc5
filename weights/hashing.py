"""Hash many large files at once, whole and in parts, on every core. Pure but for reading.

Each byte is hashed twice: for the file's digest, which names its blob, and for its part's, which a host checks on arrival.
The SHA-256 of a file does not follow from those of its parts. The largest whole file goes first, because one file cannot be
split over cores.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

READ_BYTES = 2**20


def digests(
    folder: Path, sizes: Sequence[tuple[str, int]], part_bytes: int, read: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[str, int, str, tuple[str, ...]]]:
    """Yield path, size, SHA-256 of the whole file and of each of its parts, the largest file first.

    `read` gets the number of bytes after each read. A file of one part is read once. Raises OSError, which names the file.
    """
    largest_first = sorted(sizes, key=lambda each: -each[1])
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def digest(path: str, start: int, end: int) -> str:
            checksum = hashlib.sha256()
            with (folder / path).open("rb") as stream:
                stream.seek(start)
                while start < end and (chunk := stream.read(min(READ_BYTES, end - start))):
                    checksum.update(chunk)
                    start += len(chunk)
                    read(len(chunk))
            return checksum.hexdigest()

        wholes = {path: pool.submit(digest, path, 0, size) for path, size in largest_first}
        parts = {
            path: [pool.submit(digest, path, at, min(size, at + part_bytes)) for at in range(0, size, part_bytes)]
            for path, size in largest_first
            if size > part_bytes
        }
        try:
            for path, size in largest_first:
                whole = wholes[path].result()
                alone = (whole,) if size else ()
                yield path, size, whole, tuple(part.result() for part in parts[path]) if path in parts else alone
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def bytes_to_read(sizes: Sequence[tuple[str, int]], part_bytes: int) -> int:
    """Return how many bytes `digests` will read: files of several parts count twice."""
    return sum(size if size <= part_bytes else 2 * size for _, size in sizes)
