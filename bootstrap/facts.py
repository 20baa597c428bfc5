"""Parse a host's facts, pure: the output of scripts/facts.py as a model."""

from typing import Annotated

from cryptography import x509
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from bootstrap.errors import StepFailed


class Gpu(BaseModel):
    """Describe one GPU as nvidia-smi reports it. `ecc_errors`: uncorrected errors since the driver was loaded."""

    model_config = ConfigDict(frozen=True)

    name: str
    memory_mb: int
    driver: str
    celsius: int | None = None
    ecc_errors: int | None = None


def _gpus(text: object) -> object:
    # name, memory.total [MiB], driver_version, temperature, ECC errors; None if nvidia-smi is missing or fails.
    if not isinstance(text, str):
        return ()
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines() if line.count(",") >= 2]
    return tuple(
        {
            "name": row[0],
            "memory_mb": int(float(row[1])),
            "driver": row[2],
            "celsius": _at(row, 3),
            "ecc_errors": _at(row, 4),
        }
        for row in rows
        if row[1].replace(".", "", 1).isdigit()
    )


def _at(row: list[str], place: int) -> int | None:
    return int(row[place]) if len(row) > place and row[place].isdigit() else None


def _capabilities(text: object) -> object:
    # One a line. Older drivers do not know this field, and nvidia-smi then prints none.
    if not isinstance(text, str):
        return text or ()
    words = [line.strip() for line in text.splitlines() if line.strip()]
    return tuple(float(word) if word.replace(".", "", 1).isdigit() else None for word in words)


class Facts(BaseModel):
    """Hold all facts that the plan is made of. Digests are SHA-256 in hex; sizes name their unit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: Annotated[tuple[Gpu, ...], BeforeValidator(_gpus)]
    capabilities: Annotated[tuple[float | None, ...], BeforeValidator(_capabilities)] = ()  # of each GPU, such as 8.9
    shm_free_mb: int
    disk_free_mb: int
    memory_mb: int
    cuda: float | None  # the latest that the driver supports
    cpu_cores: float
    pids_max: int | None = None  # processes and threads that the container may have; None without a limit
    clock: float | None  # unix seconds on the host
    python: str | None  # vLLM's interpreter
    vllm: str | None  # the `vllm` program that belongs to it
    kit: str | None
    model_files: dict[str, int]
    model_verified: bool  # no file was written to since its digests were checked
    vllm_wanted: str | None
    vllm_started: str | None  # digest of the configuration that the running vLLM was started with
    vllm_healthy: bool
    gate_wanted: str | None
    gate_started: str | None
    gate_open: bool
    certificate: str | None
    certificate_epoch: str | None
    token_digest: str | None
    previous_token: bool
    online: bool = False  # it has served a completion, at some time since it was rented
    agent_wanted: str | None
    agent_started: str | None
    vmagent_wanted: str | None
    vmagent_started: str | None
    metrics_password: str | None
    self_destruct_wanted: str | None = None
    self_destruct_started: str | None = None
    ending: str | None = None  # why the host is ending itself: idle, lease or lifetime

    @classmethod
    def from_answer(cls, text: str) -> "Facts":
        """Parse the script's output. Raises StepFailed if it does not validate."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, row["loc"])) for row in error.errors()[:3])
            raise StepFailed(f"the host's facts do not parse ({fields or 'not JSON'}): {text[:200]!r}") from None

    @property
    def served(self) -> bool:
        """Return whether the host serves, or served before."""
        return self.online or (self.vllm_healthy and self.gate_open)

    @property
    def certificate_end(self) -> float:
        """Return the unix seconds at which the gate's certificate ends; 0 if there is none that parses."""
        parsed = self._certificate()
        return parsed.not_valid_after_utc.timestamp() if parsed else 0.0

    @property
    def certificate_addresses(self) -> frozenset[str]:
        """Return the addresses and names for which the gate's certificate is valid."""
        parsed = self._certificate()
        if parsed is None:
            return frozenset()
        try:
            names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return frozenset()
        return frozenset(str(name.value) for name in names)

    def _certificate(self) -> x509.Certificate | None:
        try:
            return x509.load_pem_x509_certificate((self.certificate or "").encode())
        except ValueError:
            return None
