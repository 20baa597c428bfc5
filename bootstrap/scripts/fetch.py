# Long because a host gets it as one file.
"""Fetch files by presigned URL and check each part's digest as it arrives. Standard library only; sent on stdin.

REQUEST: {"target": folder, "files": [{"path", "size", "parts", "url"}], "part_bytes", "connections",
"least_mbps": a slower machine fails, "pause_seconds": before the second try, doubled from try to try,
"patience_seconds": how long no byte may arrive, "urls_last_seconds", "rate_after_seconds": until then the rate is not judged,
"rate_over_seconds": span over which the rate is measured}.

The target folder appears under its name when everything in it is verified. Bytes that arrived stay if the line drops, the
process is killed or the machine restarts. `<target>.progress` holds how far each part has come. The digest at a part's end
proves it.

Prints one JSON line {"bytes", "kept"}, with "seconds" if everything came. Exits with 0, or with a number that names the
fault: 3 digest, 4 refused by the store, 5 no space, 6 network, 7 too slow, 8 the URLs have expired.
"""

import collections
import hashlib
import http.client
import json
import os
import queue
import re
import shutil
import ssl
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

DIGEST_TRIES = 4
BLOCK = 1 << 17  # bytes that a cut connection loses at most; the rate is counted in these
LONGEST_PAUSE_SECONDS = 8.0
NOTE_SECONDS = 0.1
FILL = 4
BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class NoBucketYet(http.client.HTTPException):
    """The store does not show the bucket yet; that lasts for minutes after a bucket is made."""


class Part:
    """Track one part of a file: `offset` is how far it has come, `checksum` that of the bytes before it."""

    def __init__(self, file, path, index, part_bytes):
        self.file, self.path, self.index = file, path, index
        self.start = index * part_bytes
        self.end = min(file["size"], self.start + part_bytes)
        self.digest = file["parts"][index]
        self.name = f"{file['path']}:{index}"
        self.reset()

    def reset(self):
        self.offset, self.checksum = self.start, hashlib.sha256()

    def take_up(self, end):
        """Read the part's bytes on disk up to `end`."""
        self.reset()
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            while self.offset < end and (block := stream.read(min(BLOCK, end - self.offset))):
                self.checksum.update(block)
                self.offset += len(block)

    @property
    def good(self):
        return self.offset == self.end and self.checksum.hexdigest() == self.digest


class Transfer:
    def __init__(self, request):
        self.request = request
        self.target = Path(request["target"])
        self.partial = self.target.with_name(self.target.name + ".part")
        self.note = self.target.with_name(self.target.name + ".progress")
        self.parts = queue.Queue()  # parts to fetch
        self.found = queue.Queue()  # parts on disk to check, each with how far it had come
        self.all = []
        self.left = self.fetched = self.kept = 0
        self.failure = None
        self.lock = threading.Lock()
        self.began = self.last_byte = time.monotonic()
        self.working = 0  # threads that have a part; the least rate shrinks with their number
        self.failing = set()  # threads that wait until the line or the store comes back
        self.rates = collections.deque()
        self.noted = 0.0

    def prepare(self):
        total = sum(f["size"] for f in self.request["files"])
        came = self.read_note()
        if (
            self.target.exists() and not self.partial.exists()
        ):  # damaged, else no fetch was planned: keep its good parts
            self.target.rename(self.partial)
            came = None
        self.partial.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.partial).free + sum(
            p.stat().st_blocks * 512 for p in self.partial.rglob("*") if p.is_file()
        )
        if free < total:
            raise Refused(5, f"{total >> 20} MB are needed in {self.partial.parent}, {free >> 20} MB are free")
        for file in self.request["files"]:
            path = self.partial / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists() or path.stat().st_size != file["size"]
            with path.open("ab") as stream:
                stream.truncate(file["size"])
            for index in range(len(file["parts"])):
                part = Part(file, path, index, self.request["part_bytes"])
                self.all.append(part)
                reached = part.end if came is None else min(part.end, part.start + came.get(part.name, 0))
                if fresh or reached == part.start:
                    self.parts.put(part)
                else:
                    self.found.put((part, reached))

    def run(self):
        """Check the parts on disk first, so that the time for it does not count as a slow line. Return the seconds."""
        self.run_threads(self.check_found, lambda _: None)
        self.left = sum(part.end - part.offset for part in self.parts.queue)
        self.began = self.last_byte = time.monotonic()
        self.working = self.request["connections"]
        return self.run_threads(self.work, self.watch)

    def run_threads(self, work, watch):
        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.request["connections"])]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while (alive := [thread for thread in threads if thread.is_alive()]) and not self.failure:
            alive[0].join(0.05)
            watch(time.monotonic() - began)
        if self.failure:
            raise self.failure
        return time.monotonic() - began

    def watch(self, seconds):
        self.watch_rate(seconds)
        if seconds - self.noted >= NOTE_SECONDS:
            self.noted = seconds
            self.write_note()

    def watch_rate(self, seconds):
        over = self.request["rate_over_seconds"]
        self.rates.append((seconds, self.fetched))
        while seconds - self.rates[0][0] > over:
            self.rates.popleft()
        # FILL connections fill a line; fewer connections must reach their share of the least rate only.
        least = self.request["least_mbps"] * min(1, self.working / min(FILL, self.request["connections"]))
        if not least or self.failing or seconds <= self.request["rate_after_seconds"] or self.fetched >= self.left:
            return
        since, then = self.rates[0] if seconds > over else (0.0, 0)
        rate = (self.fetched - then) * 8 / 1e6 / (seconds - since)
        if rate < least:
            raise Refused(7, f"{rate:.1f} Mb/s after {seconds:.0f} s, {least:.1f} Mb/s are the least")

    def check_found(self):
        try:
            while not self.failure:
                part, reached = self.found.get_nowait()
                part.take_up(reached)
                if part.offset == part.end and not part.good:
                    part.reset()
                with self.lock:
                    self.kept += part.offset - part.start
                if not part.good:
                    self.parts.put(part)
        except queue.Empty:
            pass
        except OSError as error:
            self.failure = self.failure or Refused(6, f"{type(error).__name__}: {error.strerror or error}")

    def work(self):
        connections = {}
        try:
            while not self.failure:
                self.bring(connections, self.parts.get_nowait())
        except queue.Empty:
            pass
        except Refused as error:
            self.failure = self.failure or error
        except OSError as error:
            code = 5 if error.errno == 28 else 6
            self.failure = self.failure or Refused(code, f"{type(error).__name__}: {error.strerror or error}")
        finally:
            with self.lock:
                self.working -= 1
            for connection in connections.values():
                connection.close()

    def bring(self, connections, part):
        wrong = broken = 0
        while not self.failure:
            try:
                self.download(connections, part)
            except BROKEN as error:
                connections.clear()
                silent = time.monotonic() - self.last_byte
                if silent > self.request["patience_seconds"]:
                    cause = str(error) if str(error).startswith("the store") else type(error).__name__
                    raise Refused(
                        4 if isinstance(error, NoBucketYet) else 6,
                        f"{part.file['path']}: {cause}, and no byte for {silent:.0f} s",
                    ) from error
                self.failing.add(threading.get_ident())
                time.sleep(min(LONGEST_PAUSE_SECONDS, self.request["pause_seconds"] * 2**broken))
                broken += 1
                continue
            if part.good:
                return
            wrong += 1
            if wrong == DIGEST_TRIES:
                raise Refused(
                    3,
                    f"{part.file['path']}, part {part.index}: SHA-256 is {part.checksum.hexdigest()[:16]}..., "
                    f"{part.digest[:16]}... is in the manifest",
                )
            part.reset()
            time.sleep(min(LONGEST_PAUSE_SECONDS, self.request["pause_seconds"] * 2**wrong))

    def download(self, connections, part):
        place = urlsplit(part.file["url"])
        key = (place.scheme, place.netloc)
        if key not in connections:
            kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
            connections[key] = kind(place.netloc, timeout=min(30, self.request["patience_seconds"] + 1))
        connection = connections[key]
        wanted = f"bytes={part.offset}-{part.end - 1}"
        connection.request("GET", f"{place.path}?{place.query}", headers={"Range": wanted})
        answer = connection.getresponse()
        if answer.status not in (200, 206) or (answer.status == 200 and part.offset):
            self.refuse(place, answer)
        buffer = memoryview(bytearray(BLOCK))
        with part.path.open("r+b", buffering=0) as stream:
            while part.offset < part.end:
                count = answer.readinto(buffer[: min(BLOCK, part.end - part.offset)])
                if not count:
                    raise http.client.IncompleteRead(b"")
                part.checksum.update(buffer[:count])
                os.pwrite(stream.fileno(), buffer[:count], part.offset)
                part.offset += count
                with self.lock:
                    self.fetched += count
                    self.last_byte = time.monotonic()
                    self.failing.discard(threading.get_ident())

    def refuse(self, place, answer):
        """Raise for the store's error answer. Only its code is passed on, because the rest may quote keys."""
        body = answer.read(20_000).decode(errors="replace")
        code = re.search(r"<Code>(\w{1,60})</Code>", body)
        message = f"the store answers {answer.status}{f' ({code[1]})' if code else ''} for {place.path}"
        if answer.status == 403 and "expired" in body.lower():
            young = time.monotonic() - self.began < self.request["urls_last_seconds"]
            raise Refused(4 if young else 8, f"{message}: the URL has expired")
        if code and code[1] == "NoSuchBucket":
            raise NoBucketYet(message)
        if answer.status in (301, 307, 401, 403, 404):
            raise Refused(4, message)
        raise http.client.HTTPException(message)

    def read_note(self):
        """Return how far each part had come, by its name; None if there is no note that parses."""
        try:
            return {str(name): int(count) for name, count in json.loads(self.note.read_text()).items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return None

    def write_note(self):
        fresh = self.note.with_name(self.note.name + ".new")
        fresh.write_text(json.dumps({p.name: p.offset - p.start for p in self.all if p.offset > p.start}))
        fresh.replace(self.note)

    def finish(self):
        wanted = {self.partial / file["path"] for file in self.request["files"]}
        for path in sorted(self.partial.rglob("*"), reverse=True):
            if path.is_symlink() or (path.is_file() and path not in wanted):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        if self.target.exists():
            shutil.rmtree(self.target)
        # The mark first: a mark without its folder has no effect, but a folder without its mark is fetched again.
        mark = self.target.with_name(self.target.name + ".verified")
        prints = {file["path"]: self.print_of(file) for file in self.request["files"]}
        mark.write_text(json.dumps({"boot": boot(), "files": prints}))
        self.partial.rename(self.target)
        self.note.unlink(missing_ok=True)

    def print_of(self, file):
        """Return size, time and inode, which change with each write. facts.py compares them: hashing 100 GB takes minutes."""
        status = (self.partial / file["path"]).stat()
        return [status.st_size, status.st_mtime_ns, status.st_ino]


def boot():
    """Return the id of this boot of the machine.

    A power cut may lose verified bytes that were not on disk yet, so that files of an earlier boot are checked again.
    Waiting for the disk instead would delay a start by as long as the download took.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def main():
    transfer = Transfer(REQUEST)
    try:
        transfer.prepare()
        seconds = transfer.run()
        transfer.finish()
    except Refused as error:
        if transfer.all:
            transfer.write_note()
        print(error, file=sys.stderr)
        print(json.dumps({"bytes": transfer.fetched, "kept": transfer.kept}))
        return error.code
    print(json.dumps({"bytes": transfer.fetched, "kept": transfer.kept, "seconds": round(seconds, 3)}))
    return 0


status = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # a thread may still hang in a connection
