"""The cluster's own secrets, kept in etcd under the token, so that a snapshot and the token bring a cluster back."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.hetzner.k3s import etcd, pki
from sandbox.hetzner.k3s.config import Mistake, Settings

PREFIX = "/bootstrap/"
ENCRYPTION = "encryption-config.json"
ROUNDS = 4096  # of PBKDF2, as k3s has it


def ensure(settings: Settings) -> Path:
    """Have the cluster's secrets on this server, from etcd or made now, and return their folder. Raises Mistake."""
    folder = settings.data / "server" / "tls"
    token = settings.text("token") or _written_token(settings)
    kept = etcd.get(PREFIX)
    mine = PREFIX + hashlib.sha256(token.encode()).hexdigest()[:12]
    if mine in kept:
        _lay(folder, opened(kept[mine], token))
    elif kept:
        raise Mistake("bootstrap data already found and encrypted with different token")
    else:
        if not (folder / "server-ca.crt").exists():
            pki.make_authorities(folder)
        if settings.on("secrets-encryption") and not (folder / ENCRYPTION).exists():
            _lay(folder, {ENCRYPTION: json.dumps(_encryption())})
        etcd.put(mine, closed(_gathered(folder), token))
    digest = hashlib.sha256((folder / "server-ca.crt").read_bytes()).hexdigest()
    for name in ("token", "node-token"):
        _write(settings.data / "server" / name, f"K10{digest}::server:{token}\n")
    return folder


def closed(files: dict[str, str], token: str) -> bytes:
    """Return files, encrypted by the token."""
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(token, salt)).encrypt(nonce, json.dumps(files).encode(), None)
    return json.dumps([b64encode(part).decode() for part in (salt, nonce, sealed)]).encode()


def opened(sealed: bytes, token: str) -> dict[str, str]:
    """Return the files again. Raises Mistake for another token."""
    salt, nonce, text = (b64decode(part) for part in json.loads(sealed))
    try:
        files: dict[str, str] = json.loads(AESGCM(_key(token, salt)).decrypt(nonce, text, None))
    except InvalidTag:
        raise Mistake("bootstrap data cannot be decrypted: the token is another one") from None
    return files


def _key(token: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", token.encode(), salt, ROUNDS)


def _encryption() -> dict[str, object]:
    key = {"name": "aescbckey", "secret": b64encode(os.urandom(32)).decode()}
    providers: list[dict[str, object]] = [{"aescbc": {"keys": [key]}}, {"identity": {}}]
    return {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }


def _gathered(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in (*pki.OF_CLUSTER, ENCRYPTION) if (folder / name).exists()}


def _lay(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        _write(folder / name, text)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    file.write_text(text)


def _written_token(settings: Settings) -> str:
    file = settings.data / "server" / "token"
    return file.read_text().strip().rpartition(":")[2] if file.exists() else secrets.token_hex(16)
