"""Print this host's facts as one JSON object. Standard library only; sent on stdin, so that it needs no kit.

REQUEST: {"model_folder": path, "python": candidates for vLLM's interpreter}.
Prints no secret; of the token only its digest.
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
    """Return the CUDA version that the driver supports, from nvidia-smi's overview."""
    # Drivers from 610 on print two versions; programs see that of the user-mode driver.
    found = re.search(r"CUDA (?:UMD )?Version: *([\d.]+)", output("nvidia-smi") or "")
    return float(".".join(found[1].split(".")[:2])) if found else None


def limits(*names):
    """Return a limit's texts in this container's control group: version 2, then version 1, then the group's own folder."""
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
    """Return the processors that this container may use; its quota may be smaller than the machine."""
    pairs = [quota.split() for quota in quotas]
    return min([whole, *(int(q) / int(p) for q, p in pairs if q.isdigit() and p.isdigit() and int(q) and int(p))])


def cpu_quotas():
    return limits("cpu.max") + list(map("{} {}".format, limits("cpu.cfs_quota_us"), limits("cpu.cfs_period_us")))


def memory_mb():
    """Return the MB of memory that this container may use; MemTotal is the machine's."""
    lines = (text(Path("/proc/meminfo")) or "").splitlines()
    whole = next((int(line.split()[1]) // 1024 for line in lines if line.startswith("MemTotal")), 0)
    slices = limits("memory.max", "memory.limit_in_bytes")
    return min([whole, *(int(one) // 2**20 for one in slices if one.isdigit())])


def pids_max():
    """Return how many processes and threads this container may have; None without a limit."""
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


# `vllm serve` reads its version from its package's metadata and does not start without it.
LOOK = """
import importlib.metadata as m, importlib.util as u, sysconfig as s
if u.find_spec("vllm"):
    try:
        print("vllm", m.version("vllm") and s.get_path("scripts"))
    except m.PackageNotFoundError:
        print("vllm")
"""


def engine(candidates):
    """Return vLLM's interpreter and its `vllm` program; the second is None if it would not start."""
    for candidate in candidates:
        path = shutil.which(candidate)
        # Python may print more at its start; the last line is ours.
        lines = (output(path, "-c", LOOK) or "").splitlines()[-1:] if path else []
        if lines and lines[0].split()[:1] == ["vllm"]:
            return path, shutil.which("vllm", path=lines[0].partition(" ")[2] or "/nowhere")
    return None, None


def files_in(folder):
    root = Path(folder)
    return {str(p.relative_to(root)): p.stat().st_size for p in sorted(root.rglob("*")) if p.is_file()}


def untouched(folder):
    """Return whether no file changed since the fetch checked its digest, and the machine did not restart since."""
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
python, program = engine(REQUEST["python"])
print(
    json.dumps(
        {
            "gpus": output(
                "nvidia-smi",
                "--query-gpu=name,memory.total,driver_version,temperature.gpu,ecc.errors.uncorrected.volatile.total",
                "--format=csv,noheader,nounits",
            ),
            # A query of its own: a driver that does not know this field answers the whole query with an error.
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
            "model_files": files_in(REQUEST["model_folder"]),
            "model_verified": untouched(REQUEST["model_folder"]),
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
            "self_destruct_wanted": digest(ETC / "self-destruct.wanted"),
            "self_destruct_started": text(RUN / "self-destruct.started") if service_pid("self-destruct") else None,
            "ending": text(ETC / "self-destruct.ending"),
            "previous_token": (ETC / "token.previous").exists(),
            "online": (ETC / "online").exists(),
        }
    )
)
