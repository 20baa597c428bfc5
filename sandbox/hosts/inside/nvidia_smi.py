#!/usr/bin/python3 -IS
"""A host's nvidia-smi: answers the calls of scripts to the real one, from the file /etc/fake-gpus.

Every call reads the file again. A line holds a GPU index or *, a key and a value; the last match counts. A GPU with
`lost` 1 is in no list, as in the real tool after a GPU fell off the bus.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

STATE = "/etc/fake-gpus"
UMD_SINCE = 610  # from this driver branch on, the banner has other words
NO_DEVICE, BAD_ARGUMENT, NO_DRIVER = 6, 2, 9
DEFAULTS = {
    "count": "1",
    "name": "NVIDIA GeForce RTX 4090",
    "driver": "570.124.06",
    "cuda": "12.8",
    "mem_total_mib": "24564",
    "mem_used_mib": "1",
    "util": "0",
    "util_mem": "0",
    "temp": "35",
    "power_mw": "22000",
    "power_limit_mw": "450000",
    "clock_sm": "210",
    "clock_mem": "405",
    "pstate": "P8",
    "fan": "0",
    "compute_cap": "8.9",
    "ecc_errors": "[N/A]",
    "lost": "0",
    "driver_error": "0",
}
ALIASES = {"gpu_name": "name", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id"}


def main(arguments: list[str]) -> int:
    """Answer one call and return the exit status."""
    lines = [line.split(None, 2) for line in Path(STATE).read_text().splitlines() if line.strip()]
    if value(lines, "*", "driver_error") != "0":
        print("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest")
        print("NVIDIA driver is installed and running.")
        return NO_DRIVER
    gpus = [one for one in map(str, range(int(value(lines, "*", "count")))) if value(lines, one, "lost") == "0"]
    options = dict(argument.partition("=")[::2] for argument in pairs(arguments))
    wanted = options.pop("-i", options.pop("--id", ""))
    if wanted:
        gpus = [
            one for one in gpus if wanted in (one, field(lines, one, "uuid")[0], field(lines, one, "pci.bus_id")[0])
        ]
    if not gpus:
        print("No devices were found")
        return NO_DEVICE
    if "--query-gpu" in options:
        return query(lines, gpus, options["--query-gpu"].split(","), options.get("--format", ""))
    if "-L" in options or "--list-gpus" in options:
        for gpu in gpus:
            print(f"GPU {gpu}: {field(lines, gpu, 'name')[0]} (UUID: {field(lines, gpu, 'uuid')[0]})")
        return 0
    if "--query-compute-apps" in options:
        print(", ".join(options["--query-compute-apps"].split(",")))
        return 0
    if options:
        print(f"Invalid combination of input arguments. Please run 'nvidia-smi -h' for help. ({' '.join(options)})")
        return BAD_ARGUMENT
    table(lines, gpus)
    return 0


def pairs(arguments: list[str]) -> list[str]:
    """Join `-i 0` to `-i=0`, so that every option is one word."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in ("-i", "--id"):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return joined


def value(lines: list[list[str]], gpu: str, key: str) -> str:
    """Return the last value of a key that matches this GPU."""
    fitting = [line[2] for line in lines if len(line) == 3 and line[0] in ("*", gpu) and line[1] == key]
    return fitting[-1] if fitting else DEFAULTS[key]


def field(lines: list[list[str]], gpu: str, name: str) -> tuple[str, str]:
    """Return (value, unit) of a field. Raises KeyError for an unknown field."""

    def number(key: str) -> int:
        return int(value(lines, gpu, key))

    fields: dict[str, Callable[[], tuple[str, str]]] = {
        "index": lambda: (gpu, ""),
        "count": lambda: (value(lines, gpu, "count"), ""),
        "name": lambda: (value(lines, gpu, "name"), ""),
        "uuid": lambda: (f"GPU-00000000-0000-0000-0000-{int(gpu):012d}", ""),
        "driver_version": lambda: (value(lines, gpu, "driver"), ""),
        "pci.bus_id": lambda: (f"00000000:{int(gpu) + 1:02X}:00.0", ""),
        "memory.total": lambda: (value(lines, gpu, "mem_total_mib"), "MiB"),
        "memory.used": lambda: (value(lines, gpu, "mem_used_mib"), "MiB"),
        "memory.free": lambda: (str(number("mem_total_mib") - number("mem_used_mib")), "MiB"),
        "utilization.gpu": lambda: (value(lines, gpu, "util"), "%"),
        "utilization.memory": lambda: (value(lines, gpu, "util_mem"), "%"),
        "temperature.gpu": lambda: (value(lines, gpu, "temp"), ""),
        "power.draw": lambda: (f"{number('power_mw') / 1000:.2f}", "W"),
        "power.limit": lambda: (f"{number('power_limit_mw') / 1000:.2f}", "W"),
        "enforced.power.limit": lambda: (f"{number('power_limit_mw') / 1000:.2f}", "W"),
        "clocks.sm": lambda: (value(lines, gpu, "clock_sm"), "MHz"),
        "clocks.mem": lambda: (value(lines, gpu, "clock_mem"), "MHz"),
        "fan.speed": lambda: (value(lines, gpu, "fan"), "%"),
        "pstate": lambda: (value(lines, gpu, "pstate"), ""),
        "compute_cap": lambda: (value(lines, gpu, "compute_cap"), ""),
        "compute_mode": lambda: ("Default", ""),
        "persistence_mode": lambda: ("Enabled", ""),
        "mig.mode.current": lambda: ("[N/A]", ""),
        "ecc.mode.current": lambda: ("[N/A]", ""),
        "ecc.errors.uncorrected.volatile.total": lambda: (value(lines, gpu, "ecc_errors"), ""),
    }
    return fields[ALIASES.get(name, name)]()


def query(lines: list[list[str]], gpus: list[str], names: list[str], form: str) -> int:
    """Print comma-separated values as --query-gpu does."""
    words = form.split(",")
    if "csv" not in words:
        print('"--format=" is required and has to name csv')
        return BAD_ARGUMENT
    names = [name.strip() for name in names]
    try:
        rows = [[field(lines, gpu, name) for name in names] for gpu in gpus]
    except KeyError as error:
        print(f'Field "{error.args[0]}" is not a valid field to query.')
        return BAD_ARGUMENT
    if "noheader" not in words:
        print(", ".join(f"{name} [{unit}]" if unit else name for name, (_, unit) in zip(names, rows[0], strict=True)))
    for row in rows:
        bare = "nounits" in words
        print(", ".join(text if bare or not unit else f"{text} {unit}" for text, unit in row))
    return 0


def table(lines: list[list[str]], gpus: list[str]) -> None:
    """Print the plain overview."""
    driver, cuda = value(lines, "*", "driver"), value(lines, "*", "cuda")
    if int(driver.partition(".")[0]) >= UMD_SINCE:
        print(f"| NVIDIA-SMI {driver}    KMD Version: {driver}    CUDA UMD Version: {cuda} |")
    else:
        print(f"| NVIDIA-SMI {driver}    Driver Version: {driver}    CUDA Version: {cuda} |")
    names = (
        "index",
        "name",
        "temperature.gpu",
        "pstate",
        "power.draw",
        "memory.used",
        "memory.total",
        "utilization.gpu",
    )
    for gpu in gpus:
        print("| " + " | ".join("".join(field(lines, gpu, name)) for name in names) + " |")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os._exit(1)
