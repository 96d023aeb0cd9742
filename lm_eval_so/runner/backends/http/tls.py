"""Which certificates are trusted, and what it means when TLS fails."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import BackendSetupError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_FOLDERS = "SSL_CERT_DIR"
_KEY_LOG = "SSLKEYLOGFILE"
_UNTRUSTED = {2, 18, 19, 20, 21}  # X509_V_ERR_*, openssl/x509_vfy.h: who signed it is not known
_DATES = {9, 10}
_ANOTHER_NAME = {62, 64}
_NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}
"""What OpenSSL makes of bytes that are no TLS, in its several versions."""
_NO_CERTIFICATE = "it holds no certificate in PEM form"
_PATIENCE = 2.0  # seconds
_LONGEST_READ = 4000  # bytes of an answer
_ASKS_FOR_TLS = re.compile(
    rb"plain http (request was sent )?to (an |a )?(https|ssl)"  # nginx, Apache
    rb"|http request to an https server"  # Go, and Caddy, Traefik, Ollama behind it
    rb"|host and port requires tls",  # Tomcat, Spring Boot
    re.IGNORECASE,
)


def named_certificates(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that name certificates, and what each names."""
    return {name: value for name in _VARIABLES if (value := environ.get(name, "").strip())}


def trusted(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """A context that trusts what the variables name; None where they name nothing.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are those of OpenSSL, ``REQUESTS_CA_BUNDLE`` (a file or
    a folder) is that of requests, which many companies set. All that are set are trusted.

    Raises:
        BackendSetupError: One names nothing that can be read.
    """
    named = named_certificates(environ)
    if not named:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, value in named.items():
        try:
            _load(context, name, value)
        except OSError as error:  # of which SSLError is one
            reason = error.strerror if not isinstance(error, ssl.SSLError) else _NO_CERTIFICATE
            raise BackendSetupError(
                f"the variable {name} names {value!r}, which cannot be used: {reason}"
            ) from error
    return context


def default_trust() -> ssl.SSLContext:
    """That of httpx, which knows where systems keep certificates."""
    from httpx2 import create_ssl_context  # noqa: PLC0415 - only where TLS is spoken

    return create_ssl_context(trust_env=False)


def check_key_log(environ: Mapping[str, str]) -> None:
    """Looks at the file to which OpenSSL writes keys, of each context that is made.

    Raises:
        BackendSetupError: It cannot be written.
    """
    name = environ.get(_KEY_LOG, "")
    if not name or sys.flags.ignore_environment:
        return
    try:
        Path(name).open("ab").close()
    except OSError as error:
        raise BackendSetupError(
            f"the variable {_KEY_LOG} names {name!r}, which cannot be written: {error.strerror}"
        ) from error


def _load(context: ssl.SSLContext, name: str, value: str) -> None:
    if name == _FOLDERS:
        folders = [folder for folder in value.split(os.pathsep) if Path(folder).is_dir()]
        if not folders:
            raise NotADirectoryError(0, "there is no such folder")
        for folder in folders:
            context.load_verify_locations(capath=folder)
    elif name != _VARIABLES[0] and Path(value).is_dir():
        context.load_verify_locations(capath=value)
    else:
        Path(value).open("rb").close()  # OpenSSL tells less than the system does
        context.load_verify_locations(cafile=value)


def tls_fault(error: ssl.SSLError, who: str, named: Mapping[str, str]) -> str:
    """The sentence for a TLS connection that was not made.

    Args:
        error: Of the handshake.
        who: The other side, such as ``https://host:8443``.
        named: See `named_certificates`.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_fault(error, who, named)
    reason = error.reason or str(error)
    if reason in _NO_TLS:
        return f"{who} does not speak TLS: its address may have to start with http://"
    return f"{who} makes no TLS connection ({reason.replace('_', ' ').lower()})"


def _certificate_fault(
    error: ssl.SSLCertVerificationError, who: str, named: Mapping[str, str]
) -> str:
    why = error.verify_message.rstrip(".")
    if error.verify_code in _ANOTHER_NAME:
        return f"the certificate of {who} is for another host ({why}): use the name it is for"
    if error.verify_code in _DATES:
        return f"the certificate of {who} is out of date ({why}): renew it, or set the clock right"
    if error.verify_code not in _UNTRUSTED:
        return f"the certificate of {who} is not accepted ({why})"
    if not named:
        way_out = "name a file that holds its authority in the variable SSL_CERT_FILE"
    else:
        places = " and ".join(f"{name} ({value})" for name, value in named.items())
        way_out = f"its authority must be among what is named by the variable {places}"
    return f"the certificate of {who} is not trusted ({why}): {way_out}"


def asks_for_tls(body: bytes) -> bool:
    """Whether the body of a 400 says that plain HTTP was sent to a port for TLS."""
    return _ASKS_FOR_TLS.search(body[:_LONGEST_READ]) is not None


async def speaks_tls(host: str, port: int, patience: float = _PATIENCE) -> bool:
    """Whether a port answers a TLS handshake; nothing is sent but that.

    Args:
        host: Name or address.
        port: Of the server.
        patience: Seconds.
    """
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(patience):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it refuses, in the language of TLS
    except OSError:  # of which TimeoutError is one
        return False
    writer.transport.abort()
    return True
