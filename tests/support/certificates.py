"""Keys and certificates made for one test session by the ``openssl`` program; none is kept."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_HERE = "IP:127.0.0.1,DNS:localhost"
_SETTINGS = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = {names}
basicConstraints = CA:TRUE
"""
_PAST = ("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")
_NOW = ("-days", "2")


@dataclass(frozen=True)
class Certificate:
    """A certificate that signs itself."""

    file: Path
    key: Path

    @property
    def server(self) -> ssl.SSLContext:
        """What a server that shows it needs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def make(folder: Path, names: str = _HERE, *, expired: bool = False) -> Certificate:
    """A certificate for ``names``, valid for two days or until the year 2020."""
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by the program openssl, which is not here")
    folder.mkdir()
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    (folder / "settings").write_text(_SETTINGS.format(names=names))
    _openssl(
        folder,
        *(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "request.pem",
        ),
        *("-subj", f"/CN={folder.name}"),
    )
    _openssl(
        folder,
        *("ca", "-config", "settings", "-selfsign", "-batch", "-notext", "-keyfile", "key.pem"),
        *("-in", "request.pem", "-out", "certificate.pem"),
        *(_PAST if expired else _NOW),
    )
    return Certificate(folder / "certificate.pem", folder / "key.pem")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
