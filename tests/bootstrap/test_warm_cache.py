"""A compile cache is somebody's code: what of it is refused, and what it depends on."""

import io
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from bootstrap import warm_cache
from bootstrap.facts import Facts
from bootstrap.rendered_config import vllm_config
from bootstrap.spec import CACHE_FOLDER, EndpointSpec
from bootstrap.warm_cache import unfit, warm_key
from tests.bootstrap.test_plan import SPEC
from tests.doubles.facts import EMPTY

FACTS = Facts.model_validate(EMPTY)


def archive(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as entries:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entries.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def with_link(kind: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as entries:
        entry = tarfile.TarInfo("torch_compile_cache/link")
        entry.type, entry.linkname = kind, "/etc/passwd"
        entries.addfile(entry)
    return packed.getvalue()


GOOD = archive(("torch_compile_cache/a/graph.py", b"def f(): pass\n"), ("torch_compile_cache/a/b.so", b"\x7fELF"))


def test_plain_files_are_fit() -> None:
    assert unfit(GOOD, ["hush"]) == ""


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (archive(("../../etc/cron.d/x", b"x")), "no plain file inside it"),
        (archive(("/etc/cron.d/x", b"x")), "no plain file inside it"),
        (with_link(tarfile.SYMTYPE), "no plain file inside it"),
        (with_link(tarfile.LNKTYPE), "no plain file inside it"),
        (with_link(tarfile.CHRTYPE), "no plain file inside it"),
        (archive(("torch_compile_cache/env.json", b'{"t": "hush-hush-token"}')), "holds a secret"),
        (archive(("torch_compile_cache/key", b"-----BEGIN OPENSSH PRIVATE KEY-----")), "holds a secret"),
        (archive(("torch_compile_cache/url", b"https://s3/x?X-Amz-Signature=1")), "holds a secret"),
        (GOOD[: len(GOOD) // 2], "no whole archive"),
        (b"not an archive", "no whole archive"),
    ],
    # Named, because an archive holds the time at which it was packed, and every worker must find the same tests.
    ids=["up", "root", "symbolic", "hard", "device", "token", "key", "url", "half", "none"],
)
def test_what_is_refused(packed: bytes, says: str) -> None:
    assert says in unfit(packed, ["hush-hush-token"])


def test_too_much_is_refused_packed_and_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_cache, "MOST_BYTES", 1000)

    assert "more than" in unfit(b"x" * 1001, [])
    assert "unpacks to more" in unfit(archive(("torch_compile_cache/zeros", bytes(9000))), [])


def changed(**changes: Any) -> EndpointSpec:
    return replace(SPEC, **changes)


@pytest.mark.parametrize("spec", [changed(image="other"), changed(vllm_args=("--x",)), changed(env=(("A", "1"),))])
def test_the_key_changes_with_what_the_code_depends_on(spec: EndpointSpec) -> None:
    assert warm_key(spec, FACTS) != warm_key(SPEC, FACTS)


def test_the_key_changes_with_the_gpu_and_not_with_the_token() -> None:
    other = Facts.model_validate({**EMPTY, "gpus": "NVIDIA H100 80GB HBM3, 81559, 570.124.06\n"})

    assert warm_key(SPEC, other) != warm_key(SPEC, FACTS)
    assert warm_key(changed(token="o" * 43), FACTS) == warm_key(SPEC, FACTS)


def test_vllm_is_told_where_its_cache_lies_only_where_it_is_kept() -> None:
    assert CACHE_FOLDER not in vllm_config(SPEC, FACTS)
    assert f'"VLLM_CACHE_ROOT": "{CACHE_FOLDER}"' in vllm_config(changed(warm_start=True), FACTS)
