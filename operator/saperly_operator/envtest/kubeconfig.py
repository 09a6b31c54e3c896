"""Who may speak to the control plane, and the files that say so: bearer tokens, kubeconfigs, the service-account key.

Pure but for randomness, which comes from the operating system: these credentials protect a real API server, if only
for minutes. Written by ``ControlPlane`` with mode 0600.
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

SYSTEM_MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """A name that the API server knows by its token, and its groups. Without groups it has no right but by RBAC."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


def token_file(users: Sequence[User]) -> str:
    """The contents of ``--token-auth-file``: token, name, uid, groups."""
    return "".join(f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users)


def kubeconfig(url: str, ca_pem: str, user: str, token: str, namespace: str = "default") -> str:
    """A kubeconfig with one context, complete in itself."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "envtest",
            "clusters": [
                {
                    "name": "envtest",
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": base64.b64encode(ca_pem.encode()).decode(),
                    },
                }
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [
                {"name": "envtest", "context": {"cluster": "envtest", "user": user, "namespace": namespace}}
            ],
        },
        sort_keys=False,
    )


def service_account_key() -> str:
    """A fresh P-256 private key in PEM, to sign ServiceAccount tokens with.

    SEC 1 (RFC 5915): version 1, the secret number, the curve. The public half may be left out, and Go derives it.
    """
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    number = (secrets.randbelow(order - 1) + 1).to_bytes(32, "big")
    curve = bytes.fromhex("a00a06082a8648ce3d030107")  # [0] OBJECT IDENTIFIER prime256v1
    body = b"\x02\x01\x01" + b"\x04\x20" + number + curve
    encoded = base64.encodebytes(b"\x30" + bytes([len(body)]) + body).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{encoded}-----END EC PRIVATE KEY-----\n"


def write_private(path: Path, content: str) -> Path:
    """Write a file that only its owner can read, from its first moment on."""
    path.touch(mode=0o600)
    path.write_text(content)
    return path
