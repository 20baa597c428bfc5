# ruff: noqa: N802 -- these are NVML's own names
"""One GPU as NVML's binding shows it."""

from types import SimpleNamespace
from typing import Any


class Nvml:
    """One GPU of NVML; what a GeForce does not know raises."""

    class NVMLError(Exception):
        pass

    NVML_TEMPERATURE_GPU, NVML_VOLATILE_ECC = 0, 0
    NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 0, 1
    lost = False

    def nvmlDeviceGetCount(self) -> int:
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if self.lost:
            raise self.NVMLError
        return index

    def nvmlDeviceGetUUID(self, _handle: int) -> bytes:
        return b"GPU-1"

    def nvmlDeviceGetName(self, _handle: int) -> str:
        return "NVIDIA GeForce RTX 4090"

    def nvmlSystemGetDriverVersion(self) -> str:
        return "570.1"

    def nvmlDeviceGetUtilizationRates(self, _handle: int) -> Any:
        return SimpleNamespace(gpu=37)

    def nvmlDeviceGetMemoryInfo(self, _handle: int) -> Any:
        return SimpleNamespace(used=5, total=10)

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:
        return 61

    def nvmlDeviceGetPowerUsage(self, _handle: int) -> int:
        return 250_500

    def nvmlDeviceGetEnforcedPowerLimit(self, _handle: int) -> int:
        raise self.NVMLError

    def nvmlDeviceGetTotalEccErrors(self, *_: int) -> int:
        raise self.NVMLError

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, _handle: int) -> int:
        return 0x40 | 0x4
