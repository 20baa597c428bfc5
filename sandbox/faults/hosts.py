"""Faults of a machine, of its network line and of vLLM on it.

Armed for a running instance, they strike it at once. Otherwise they strike the next host that the market makes.
"""

from sandbox.faults.fault import Fault

HOSTS = (
    Fault("ssh-closed", "host", "The instance runs, and nothing answers on its SSH port.", on_host=("ssh_closed", {})),
    Fault("gate-closed", "host", "Every published port but the SSH port refuses.", on_host=("gate_closed", {})),
    Fault(
        "other-host-key-first",
        "host",
        "The host shows another SSH key at the first login than the one in its log.",
        on_host=("other_host_key", {}),
    ),
    Fault(
        "other-host-key-later",
        "host",
        "The host shows the right SSH key at the first connection and another one from the second on.",
        on_host=("other_host_key", {"later": True}),
    ),
    Fault(
        "slow-host",
        "host",
        "The host downloads at 2 Mbit/s instead of what the offer says.",
        on_host=("slow", {"mbps": 2.0}),
    ),
    Fault("silent-host", "host", "The host accepts connections and carries no byte.", on_host=("silent", {})),
    Fault(
        "dead-link",
        "host",
        "After 256 KiB the host's line goes dead in the middle of a transfer: connections stay open and carry no byte.",
        on_host=("dead_link", {"kib": 256}),
    ),
    Fault(
        "cut-link",
        "host",
        "Each download of the host is cut after 256 KiB.",
        on_host=("cut_link", {"kib": 256}),
    ),
    Fault("frozen-host", "host", "Every process on the host stands still.", on_host=("frozen", {})),
    Fault("disk-full", "host", "The host's disk is full.", on_host=("disk_full", {})),
    Fault("gpu-missing", "host", "A GPU has fallen off the bus.", on_host=("gpu_lost", {})),
    Fault("gpu-driver-broken", "host", "nvidia-smi cannot talk to the driver.", on_host=("gpu_driver_broken", {})),
    Fault(
        "small-slice",
        "host",
        "The container may use 512 MB of the machine's memory and a fifth of a processor.",
        on_host=("small_slice", {"memory_mb": 512, "cpus": 0.2}),
    ),
    Fault(
        "small-slice-cgroup-v1",
        "host",
        "The same, by control groups of version 1.",
        on_host=("small_slice", {"version": 1, "memory_mb": 512, "cpus": 0.2}),
    ),
    Fault(
        "few-processes",
        "host",
        "The container may have 256 processes and threads.",
        on_host=("small_slice", {"pids": 256}),
    ),
    Fault("clock-off", "host", "The host's clock is two hours behind.", on_host=("clock_off", {"seconds": -7200})),
    Fault(
        "late-ssh",
        "host",
        "The SSH server, its key and ssh-keygen come four seconds after the start script began.",
        on_host=("late_ssh", {}),
    ),
    Fault(
        "late-ssh-by-apt",
        "host",
        "The SSH server is installed while the start script runs: its key comes six seconds late, in apt's noise.",
        on_host=("late_ssh", {"seconds": 6.0, "apt": True}),
    ),
    Fault(
        "onstart-unlogged",
        "host",
        "The output of the start script goes to a file on the host, not to the instance's log.",
        on_host=("onstart_unlogged", {}),
    ),
    Fault(
        "noisy-log",
        "host",
        "The instance's log is full of colours, progress bars and lines that do not end.",
        on_host=("noisy_log", {}),
    ),
    Fault(
        "talking-shell",
        "host",
        "The host's shell greets and warns before every command.",
        on_host=("talking_shell", {}),
    ),
    Fault(
        "keys-rewritten",
        "host",
        "The market rewrites the host's authorized_keys: only keys that are attached through the API remain.",
        on_host=("keys_rewritten", {}),
    ),
    Fault("host-reboots", "host", "The host restarts a minute after it runs: its disk stays, its processes are gone."),
    Fault("host-off", "host", "The machine is off: offline, and not charged, until the fault ends and it comes back."),
)
VLLM = (
    Fault("vllm-dies-at-start", "vllm", "vLLM is killed while it starts, at each start.", on_host=("vllm_dies", {})),
    Fault(
        "vllm-out-of-memory",
        "vllm",
        "vLLM runs out of GPU memory in its warm-up and ends, at each start.",
        on_host=("vllm_out_of_memory", {}),
    ),
    Fault(
        "vllm-gpu-too-small",
        "vllm",
        "vLLM finds no memory for its cache beside the weights, as on each GPU of that model, and ends at each start.",
        on_host=("vllm_gpu_too_small", {}),
    ),
    Fault(
        "vllm-gpu-too-old",
        "vllm",
        "vLLM refuses the GPU's compute capability for the model's data type, and ends at each start.",
        on_host=("vllm_gpu_too_old", {}),
    ),
    Fault(
        "vllm-hangs",
        "vllm",
        "vLLM is alive and healthy, and it never answers a completion.",
        on_host=("vllm_hangs", {}),
    ),
    Fault(
        "vllm-dies-later",
        "vllm",
        "vLLM serves and is killed 20 s after each of its starts.",
        on_host=("vllm_dies_later", {"seconds": 20}),
    ),
    Fault(
        "vllm-broken",
        "vllm",
        "vLLM looks healthy, and its engine dies at the first completion.",
        on_host=("vllm_broken", {}),
    ),
    Fault("vllm-slow-start", "vllm", "vLLM takes a minute longer to start.", on_host=("vllm_slow", {"start_s": 60})),
)
