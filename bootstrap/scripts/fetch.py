"""Fetch files by presigned URL, each part held to its digest as it lands. Standard library only; sent on stdin.

The order, in ORDER: {"target": folder, "files": [{"path", "size", "sha256", "parts", "url"}], "part_bytes", "connections",
"least_mbps": below it the machine is slow, "pause_seconds": before the second try}.

The target folder appears under its name when everything in it is verified;
parts that are good already (after a dropped link or a reboot) are kept.

Ends with 0 and one JSON line {"bytes", "kept", "seconds"}; or with the number that says whose fault it was:
3 digest, 4 refused by the store, 5 no space, 6 network, 7 too slow.
"""

import hashlib
import http.client
import json
import os
import queue
import shutil
import ssl
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

TRIES = 4
BLOCK = 1 << 20
RATE_AFTER_SECONDS = 4.0


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Transfer:
    def __init__(self, order):
        self.order = order
        self.target = Path(order["target"])
        self.partial = self.target.with_name(self.target.name + ".part")
        self.parts = queue.Queue()  # to be fetched
        self.found = queue.Queue()  # on disk already, to be looked through
        self.left = 0
        self.fetched = 0
        self.kept = 0
        self.failure = None
        self.lock = threading.Lock()

    def prepare(self):
        total = sum(f["size"] for f in self.order["files"])
        if self.target.exists() and not self.partial.exists():  # damaged, or we would not be asked: keep its good parts
            self.target.rename(self.partial)
        self.partial.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.partial).free + sum(
            p.stat().st_blocks * 512 for p in self.partial.rglob("*") if p.is_file()
        )
        if free < total:
            raise Refused(5, f"{total >> 20} MB are needed in {self.partial.parent}, {free >> 20} MB are free")
        for file in self.order["files"]:
            path = self.partial / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists() or path.stat().st_size != file["size"]
            with path.open("ab") as stream:
                stream.truncate(file["size"])
            for index, digest in enumerate(file["parts"]):
                (self.parts if fresh else self.found).put((file, path, index, digest))

    def run(self):
        """Look through what is there first, so that the time for it does not count as a slow line."""
        self.all_at_once(self.look_through, lambda _: None)
        self.left = sum(self.size_of(part) for part in self.parts.queue)
        return self.all_at_once(self.work, self.watch_rate)

    def all_at_once(self, work, watch):
        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.order["connections"])]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(0.1)
            for thread in threads:
                thread.join(0)
            watch(time.monotonic() - began)
            if self.failure:
                raise self.failure
            time.sleep(0.02)
        if self.failure:
            raise self.failure
        return time.monotonic() - began

    def watch_rate(self, seconds):
        least = self.order["least_mbps"]
        rate = self.fetched * 8 / 1e6 / max(seconds, 0.001)
        if least and seconds > RATE_AFTER_SECONDS and rate < least and self.fetched < self.left:
            raise Refused(7, f"{rate:.1f} Mb/s after {seconds:.0f} s, {least:.1f} Mb/s are the least")

    def size_of(self, part):
        file, _, index, _ = part
        size = self.order["part_bytes"]
        return min(file["size"], (index + 1) * size) - index * size

    def look_through(self):
        try:
            while not self.failure:
                part = self.found.get_nowait()
                _, path, index, digest = part
                start = index * self.order["part_bytes"]
                if self.digest_on_disk(path, start, start + self.size_of(part)) == digest:
                    with self.lock:
                        self.kept += self.size_of(part)
                else:
                    self.parts.put(part)
        except queue.Empty:
            pass
        except OSError as error:
            self.failure = self.failure or Refused(6, f"{type(error).__name__}: {error.strerror or error}")

    def work(self):
        connections = {}
        try:
            while not self.failure:
                self.part(connections, *self.parts.get_nowait())
        except queue.Empty:
            pass
        except Refused as error:
            self.failure = self.failure or error
        except OSError as error:
            code = 5 if error.errno == 28 else 6
            self.failure = self.failure or Refused(code, f"{type(error).__name__}: {error.strerror or error}")
        finally:
            for connection in connections.values():
                connection.close()

    def part(self, connections, file, path, index, digest):
        start = index * self.order["part_bytes"]
        end = start + self.size_of((file, path, index, digest))
        problem = None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(16, 2**attempt) * self.order["pause_seconds"])
            try:
                found = self.download(connections, file["url"], path, start, end)
            except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
                connections.clear()
                problem = Refused(6, f"{file['path']}: {type(error).__name__}")
                continue
            if found == digest:
                return
            problem = Refused(
                3, f"{file['path']}, part {index}: SHA-256 is {found[:16]}..., {digest[:16]}... is in the manifest"
            )
        raise problem

    def download(self, connections, url, path, start, end):
        place = urlsplit(url)
        key = (place.scheme, place.netloc)
        if key not in connections:
            kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
            connections[key] = kind(place.netloc, timeout=30)
        connection = connections[key]
        connection.request("GET", f"{place.path}?{place.query}", headers={"Range": f"bytes={start}-{end - 1}"})
        answer = connection.getresponse()
        if answer.status in (401, 403, 404):
            answer.read()
            raise Refused(4, f"the store answers {answer.status} for {place.path}")
        if answer.status not in (200, 206) or (answer.status == 200 and start):
            answer.read()
            raise http.client.HTTPException(f"status {answer.status}")
        checksum = hashlib.sha256()
        buffer = memoryview(bytearray(BLOCK))
        offset = start
        with path.open("r+b", buffering=0) as stream:
            while offset < end:
                count = answer.readinto(buffer[: min(BLOCK, end - offset)])
                if not count:
                    raise http.client.IncompleteRead(b"")
                checksum.update(buffer[:count])
                os.pwrite(stream.fileno(), buffer[:count], offset)
                offset += count
                with self.lock:
                    self.fetched += count
        return checksum.hexdigest()

    def digest_on_disk(self, path, start, end):
        checksum = hashlib.sha256()
        with path.open("rb") as stream:
            stream.seek(start)
            left = end - start
            while left:
                block = stream.read(min(BLOCK, left))
                if not block:
                    break
                checksum.update(block)
                left -= len(block)
        return checksum.hexdigest()

    def finish(self):
        for file in self.order["files"]:
            if (
                len(file["parts"]) > 1
                and self.digest_on_disk(self.partial / file["path"], 0, file["size"]) != file["sha256"]
            ):
                raise Refused(
                    3, f"{file['path']}: its parts are good but the whole is not: the manifest contradicts itself"
                )
        wanted = {self.partial / file["path"] for file in self.order["files"]}
        for path in sorted(self.partial.rglob("*"), reverse=True):
            if path.is_symlink() or (path.is_file() and path not in wanted):
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        os.sync()
        if self.target.exists():
            shutil.rmtree(self.target)
        # The mark first: without a folder it says nothing, while a folder without its mark would be fetched again.
        mark = self.target.with_name(self.target.name + ".verified")
        mark.write_text(json.dumps({file["path"]: self.print_of(file) for file in self.order["files"]}))
        self.partial.rename(self.target)

    def print_of(self, file):
        """What changes when a file is written to. facts.py compares it: hashing 100 GB at every look takes minutes."""
        status = (self.partial / file["path"]).stat()
        return [status.st_size, status.st_mtime_ns, status.st_ino]


def main():
    transfer = Transfer(ORDER)
    try:
        transfer.prepare()
        seconds = transfer.run()
        transfer.finish()
    except Refused as error:
        print(error, file=sys.stderr)
        return error.code
    print(json.dumps({"bytes": transfer.fetched, "kept": transfer.kept, "seconds": round(seconds, 3)}))
    return 0


status = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(status)  # a thread may still hang in a connection
