"""The Run:ai streamer as a raw tool: brings objects of the store into memory, as vLLM does with --load-format runai_streamer.

python bench/_runai.py s3://bucket/key=BYTES ..., run by the Python of the real vLLM, which has torch; endpoint and keys come
from the environment. Nothing is written to a disk and no digest is checked: it does less than every other tool here.
"""

import sys

from runai_model_streamer.file_streamer.file_streamer import FileStreamer
from runai_model_streamer.file_streamer.requests_iterator import FileChunks

RANGE = 64 * 2**20  # a part of a manifest
RING_BYTES = 512 * 2**20  # the most memory that it may hold


def main() -> None:
    """Stream all, and say how much came."""
    wanted = []
    for number, word in enumerate(sys.argv[1:]):
        path, _, size = word.rpartition("=")
        sizes = [min(RANGE, int(size) - start) for start in range(0, int(size), RANGE)]
        wanted.append(FileChunks.contiguous(number, path, 0, sizes))
    came = 0
    with FileStreamer() as streamer:
        streamer.stream_files(wanted, memory_limit=RING_BYTES)
        for _file, _range, tensor in streamer.get_chunks():
            came += tensor.numel()
    if came != sum(int(word.rpartition("=")[2]) for word in sys.argv[1:]):
        raise SystemExit(f"only {came} bytes came")


if __name__ == "__main__":
    main()
