"""Reads the GPUs: by NVML if the container has its library, else by nvidia-smi. Values that a GPU lacks are left out."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

FIELDS = {
    "uuid": "uuid",
    "name": "name",
    "driver": "driver_version",
    "utilization": "utilization.gpu",
    "memory_used": "memory.used",
    "memory_total": "memory.total",
    "celsius": "temperature.gpu",
    "watts": "power.draw",
    "watts_limit": "enforced.power.limit",
    "uncorrected": "ecc.errors.uncorrected.volatile.total",
}
TEXTS = ("uuid", "name", "driver")
MIB = 2**20
# A closed set of words -> NVML's bit of the reason for a held-down clock (nvml.h, nvmlClocksEventReasons).
REASONS = {
    "power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "hw_power_brake": 0x80,
}


class Gpus:
    """`look` returns one dictionary for each GPU: texts, and numbers in base units. `throttled` maps a reason to 0 or 1."""

    def __init__(self, nvml: Any = None, run: Callable[..., Any] = subprocess.run) -> None:
        self._run = run
        self._nvml = nvml or load_nvml()

    def look(self) -> list[dict[str, Any]]:
        """Return every GPU that answers; an empty list if neither way works."""
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                return [self._by_nvml(index) for index in range(self._nvml.nvmlDeviceGetCount())]
        return self._by_smi()

    def _by_nvml(self, index: int) -> dict[str, Any]:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        found: dict[str, Any] = {}

        def read(key: str, ask: Callable[[], Any]) -> None:
            with contextlib.suppress(nvml.NVMLError):  # not every GPU reports every value
                found[key] = ask()

        read("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle)))
        read("name", lambda: _text(nvml.nvmlDeviceGetName(handle)))
        read("driver", lambda: _text(nvml.nvmlSystemGetDriverVersion()))
        read("utilization", lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
        read("memory_used", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used)
        read("memory_total", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total)
        read("celsius", lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        read("watts", lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        read("watts_limit", lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
        kinds = {
            "uncorrected": nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            "corrected": nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
        }
        for key, kind in kinds.items():
            read(key, partial(nvml.nvmlDeviceGetTotalEccErrors, handle, kind, nvml.NVML_VOLATILE_ECC))
        read("throttled", lambda: _reasons(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)))
        return found

    def _by_smi(self) -> list[dict[str, Any]]:
        command = ["nvidia-smi", "--query-gpu=" + ",".join(FIELDS.values()), "--format=csv,noheader,nounits"]
        try:
            text = self._run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return []
        return [_row(line) for line in text.splitlines() if line.count(",") == len(FIELDS) - 1]


def load_nvml() -> Any:
    """Return the initialised NVML binding; None without the driver's library."""
    try:
        import pynvml  # noqa: PLC0415 -- not on every host
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _row(line: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, text in zip(FIELDS, (part.strip() for part in line.split(",")), strict=True):
        if key in TEXTS:
            found[key] = text
            continue
        with contextlib.suppress(ValueError):  # [N/A]
            found[key] = float(text) * {"memory_used": MIB, "memory_total": MIB, "utilization": 0.01}.get(key, 1)
    return found


def _reasons(bits: int) -> dict[str, int]:
    return {reason: int(bool(bits & bit)) for reason, bit in REASONS.items()}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
