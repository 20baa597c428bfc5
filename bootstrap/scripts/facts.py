"""Print what is true of this host, as one JSON object. Standard library only; sent on stdin, so it needs no kit.

The order, in ORDER: {"model_folder": path, "python": candidates of vLLM's interpreter}.
Secrets do not leave: of the token only a digest.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

ETC = Path("/opt/gpu-fleet/etc")
RUN = Path("/run/gpu-fleet")
CGROUPS = Path("/sys/fs/cgroup")


def text(path):
    try:
        return path.read_text().strip()
    except OSError:
        return None


def digest(path):
    try:
        return hashlib.sha256(path.read_bytes().strip()).hexdigest()
    except OSError:
        return None


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def cuda():
    """The CUDA that the driver supports, as its overview says."""
    # Drivers from 610 on name two: that of their user-mode part is the one that programs see.
    found = re.search(r"CUDA (?:UMD )?Version: *([\d.]+)", output("nvidia-smi") or "")
    return float(".".join(found[1].split(".")[:2])) if found else None


def limits(*names):
    """The texts of a limit of this container's control group: version 2 first, then version 1, the group's own folder too."""
    found = []
    for name in names:
        controller = name.partition(".")[0]
        folders = [CGROUPS, CGROUPS / controller, CGROUPS / "cpu,cpuacct"]
        for line in (text(Path("/proc/self/cgroup")) or "").splitlines():
            _, kinds, own = line.split(":", 2)
            if not kinds or controller in kinds.split(","):
                folders.append(CGROUPS / kinds / own.lstrip("/"))
        found += [value for value in (text(folder / name) for folder in dict.fromkeys(folders)) if value]
    return found


def cpu_cores(quotas, whole):
    """The processors that this container may use: its quota may be smaller than the machine."""
    pairs = [quota.split() for quota in quotas]
    return min([whole, *(int(q) / int(p) for q, p in pairs if q.isdigit() and p.isdigit() and int(q) and int(p))])


def cpu_quotas():
    return limits("cpu.max") + list(map("{} {}".format, limits("cpu.cfs_quota_us"), limits("cpu.cfs_period_us")))


def memory_mb():
    """The memory that this container may use: MemTotal is the machine's."""
    lines = (text(Path("/proc/meminfo")) or "").splitlines()
    whole = next((int(line.split()[1]) // 1024 for line in lines if line.startswith("MemTotal")), 0)
    slices = limits("memory.max", "memory.limit_in_bytes")
    return min([whole, *(int(one) // 2**20 for one in slices if one.isdigit())])


def pids_max():
    """How many processes and threads this container may have; None without a limit."""
    return min((int(one) for one in limits("pids.max") if one.isdigit()), default=None)


def free_mb(path):
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free // 2**20


def alive(pid):
    stat = text(Path(f"/proc/{pid}/stat")) if pid else None
    return bool(stat) and stat.rpartition(")")[2].split()[0] not in "ZX"


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=3).status == 200
    except OSError:
        return False


def service_pid(name):
    state = text(Path(f"/opt/gpu-fleet/service/{name}/supervise/pid"))
    return int(state) if state and state.isdigit() and alive(int(state)) else None


# `vllm serve` reads its version out of its package's metadata, and does not start without.
LOOK = """
import importlib.metadata as m, importlib.util as u, sysconfig as s
if u.find_spec("vllm"):
    try:
        print("vllm", m.version("vllm") and s.get_path("scripts"))
    except m.PackageNotFoundError:
        print("vllm")
"""


def engine(candidates):
    """vLLM's interpreter and, where it can be started by it, its `vllm` program."""
    for candidate in candidates:
        path = shutil.which(candidate)
        # Whatever a start of Python says here beside, the last line is ours.
        lines = (output(path, "-c", LOOK) or "").splitlines()[-1:] if path else []
        if lines and lines[0].split()[:1] == ["vllm"]:
            return path, shutil.which("vllm", path=lines[0].partition(" ")[2] or "/nowhere")
    return None, None


def files_in(folder):
    root = Path(folder)
    return {str(p.relative_to(root)): p.stat().st_size for p in sorted(root.rglob("*")) if p.is_file()}


def untouched(folder):
    """Whether every file is the one that was held to its digests when it was fetched, since the machine started."""
    try:
        mark = json.loads(Path(folder + ".verified").read_text())
        return mark["boot"] == (text(Path("/proc/sys/kernel/random/boot_id")) or "") and all(
            [s.st_size, s.st_mtime_ns, s.st_ino] == was
            for path, was in mark["files"].items()
            for s in [os.stat(os.path.join(folder, path))]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


kit = Path("/opt/gpu-fleet/kit")
python, program = engine(ORDER["python"])
print(
    json.dumps(
        {
            "gpus": output(
                "nvidia-smi",
                "--query-gpu=name,memory.total,driver_version,temperature.gpu,ecc.errors.uncorrected.volatile.total",
                "--format=csv,noheader,nounits",
            ),
            # By itself: a driver that does not know this field answers the whole question with an error.
            "capabilities": output("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"),
            "cuda": cuda(),
            "cpu_cores": cpu_cores(cpu_quotas(), float(len(os.sched_getaffinity(0)))),
            "pids_max": pids_max(),
            "clock": time.time(),
            "shm_free_mb": free_mb("/dev/shm"),
            "disk_free_mb": free_mb("/workspace/models"),
            "memory_mb": memory_mb(),
            "python": python,
            "vllm": program,
            "kit": kit.resolve().name if kit.is_dir() else None,
            "model_files": files_in(ORDER["model_folder"]),
            "model_verified": untouched(ORDER["model_folder"]),
            "vllm_wanted": digest(ETC / "vllm.wanted"),
            "vllm_started": text(RUN / "vllm.started") if service_pid("vllm") else None,
            "vllm_healthy": answers("http://127.0.0.1:8000/health"),
            "gate_wanted": digest(ETC / "gate.wanted"),
            "gate_started": text(RUN / "gate.started") if service_pid("gate") else None,
            "gate_open": (RUN / "open").is_file(),
            "certificate": text(ETC / "tls.crt"),
            "certificate_epoch": text(ETC / "tls.epoch"),
            "token_digest": digest(ETC / "token"),
            "agent_wanted": digest(ETC / "agent.wanted"),
            "agent_started": text(RUN / "agent.started") if service_pid("agent") else None,
            "vmagent_wanted": digest(ETC / "vmagent.wanted"),
            "vmagent_started": text(RUN / "vmagent.started") if service_pid("vmagent") else None,
            "metrics_password": digest(ETC / "metrics.password"),
            "previous_token": (ETC / "token.previous").exists(),
            "online": (ETC / "online").exists(),
        }
    )
)
