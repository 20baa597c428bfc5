"""One container as a process: its root, files, disks, user and environment, as its manifest says."""

import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.services.child import Child
from tests.doubles.node.network import PodNetwork

DEVICES = ("null", "zero", "random", "urandom")
SHARED = ("/usr", "/etc/ssl", "/etc/ld.so.cache")  # of the machine, in place of a base image's
LINKS = ("bin", "lib", "lib64", "sbin")


@dataclass(frozen=True)
class Image:
    """What an image brings: `files` are the machine's by path inside; the rest is as in an image's config."""

    files: Mapping[str, Path]
    entrypoint: Sequence[str] = ()
    folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Container:
    """A pod's only container. `files`: the content of ConfigMaps and Secrets by kind and name; `disks` keeps the claims'."""

    pod: Mapping[str, Any]
    image: Image
    files: Mapping[tuple[str, str], Mapping[str, str]]
    folder: Path
    network: PodNetwork
    disks: Path
    child: Child | None = None

    def start(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "root").mkdir(exist_ok=True)
        script = self.folder / "start.sh"
        script.touch(mode=0o600)
        script.write_text("\n".join(self._script()))
        words = [f"--net={self.network.path}", "--", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        words += ["--ipc", "--uts", "--propagation", "private", "sh", "-eu", str(script)]
        self.child = Child("nsenter", words, {}, self.folder / "container.log")

    def stop(self) -> None:
        """End it, and with its first process all that it has started."""
        if self.child is not None:
            if self.child.status() is None:
                os.kill(self.process, signal.SIGKILL)
            self.child.stop(0)

    @property
    def process(self) -> int:
        """The first process's id as this machine counts: the child of unshare."""
        assert self.child is not None
        pid = self.child.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    @property
    def _spec(self) -> Mapping[str, Any]:
        [container] = self.pod["containers"]
        return dict(container)

    def _script(self) -> list[str]:
        root = self.folder / "root"
        places = {path: (source, False) for path, source in self.image.files.items()}
        places |= {path: (Path(path), False) for path in SHARED if Path(path).exists()}
        places |= {f"/dev/{name}": (Path("/dev", name), True) for name in DEVICES}
        for mount in self._spec["volumeMounts"]:
            places[mount["mountPath"]] = (self._volume(mount["name"]), not mount["readOnly"])
        hosts = self._write("hosts", "127.0.0.1 localhost\n" + self._names())
        places |= {
            "/etc/hosts": (hosts, False),
            "/etc/nsswitch.conf": (self._write("nsswitch", "hosts: files\n"), False),
        }
        lines = [f"mount -t tmpfs -o mode=755 root {root}", f"mkdir {root}/proc"]
        lines += [f"ln -s usr/{name} {root}/{name}" for name in LINKS if Path("/", name).is_symlink()]
        for path, (source, written) in sorted(places.items()):
            inner = shlex.quote(f"{root}{path}")
            make = f"mkdir -p {inner}" if source.is_dir() else f"mkdir -p $(dirname {inner}); touch {inner}"
            lines += [make, f"mount --bind {shlex.quote(str(source))} {inner}"]
            lines += [] if written else [f"mount -o remount,bind,ro {inner}"]
        lines += [f"mount -t proc proc {root}/proc"]
        if self._spec["securityContext"]["readOnlyRootFilesystem"]:
            lines += [f"mount -o remount,ro {root}"]
        return [*lines, f"exec {shlex.join(self._command(root))}", ""]

    def _command(self, root: Path) -> list[str]:
        who = self.pod["securityContext"]
        assert self._spec["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.image.environment, **self._environment()}
        program = self._spec.get("command") or self.image.entrypoint
        return [
            *("unshare", f"--root={root}", f"--wd={self.image.folder}"),
            *("setpriv", f"--reuid={who['runAsUser']}", f"--regid={who['runAsGroup']}", f"--groups={who['fsGroup']}"),
            # The kernel forgets whose death ends a process when that becomes another user's.
            *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--pdeathsig=KILL"),
            *("env", "-i", *(f"{name}={value}" for name, value in variables.items())),
            *(*program, *self._spec["args"]),
        ]

    def _environment(self) -> dict[str, str]:
        found = {}
        for variable in self._spec["env"]:
            asked = variable.get("valueFrom", {}).get("secretKeyRef")
            found[variable["name"]] = self.files["secret", asked["name"]][asked["key"]] if asked else variable["value"]
        return found

    def _volume(self, name: str) -> Path:
        [volume] = [each for each in self.pod["volumes"] if each["name"] == name]
        group = self.pod["securityContext"]["fsGroup"]
        if "persistentVolumeClaim" in volume:
            return writable(self.disks / volume["persistentVolumeClaim"]["claimName"], group, 0o2775)
        folder = self.folder / "volumes" / name
        if "emptyDir" in volume:
            return writable(folder, group, 0o2777)
        folder.mkdir(parents=True, exist_ok=True)
        for source in volume.get("projected", {}).get("sources", [volume]):
            for kind, key in (("configMap", "name"), ("secret", "secretName")):
                for file, text in self.files[kind, source[kind][key]].items() if kind in source else ():
                    (folder / file).write_text(text)
        return folder

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def _names(self) -> str:
        return "".join(f"{address} {name}\n" for name, address in self.network.names.items())


def writable(folder: Path, group: int, mode: int) -> Path:
    """Make a folder of the pod's group, as a kubelet does for fsGroup."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, 0, group)
    folder.chmod(mode)
    return folder


def python_image(copied: Sequence[str], repo: Path, folder: str) -> Image:
    """Return the project's own image: the rooms that its Containerfile copies, on this environment's Python."""
    prefixes = {sys.prefix, str(Path(sys.prefix).resolve()), sys.base_prefix}
    files = {prefix: Path(prefix).resolve() for prefix in prefixes if not prefix.startswith("/usr")}
    files |= {f"{folder}/{room}": repo / room for room in copied}
    return Image(files, folder=folder, environment={"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"})
