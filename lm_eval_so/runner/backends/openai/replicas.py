"""The servers and accounts that the options name: one, or those of a pool."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from lm_eval_so.runner.backends.http.pool import CONNECT_S, Pool
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.openai.environment import Account, read_account, read_connection
from lm_eval_so.runner.backends.openai.options import PATHS
from lm_eval_so.runner.backends.wires.account import key_words, userinfo_words
from lm_eval_so.runner.backends.wires.remedy import Setup
from lm_eval_so.runner.errors import BackendError, EndpointUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.openai.options import OpenAIOptions

_INSTRUCTIONS = ("system", "developer")  # roles


class Replica(NamedTuple):
    """One server with one account.

    Attributes:
        name: How it is written: its address, and the variable of its key where keys differ.
        connection: How the server is reached.
        account: Who asks there.
        key_variable: Names the variable of the key.
    """

    name: str
    connection: Connection
    account: Account
    key_variable: str


def read_replicas(
    options: OpenAIOptions,
    environ: Mapping[str, str],
    system_proxies: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> list[Replica]:
    """What the options and the environment say, in the order in which they are named.

    Raises:
        BackendSetupError: Something cannot be sent; the sentence names the variable or the option.
    """
    found = []
    several_keys = isinstance(options.api_key_env, list)
    for address, variable in options.replicas:
        own = options.model_copy(update={"base_url": address, "api_key_env": variable})
        connection = read_connection(own, environ, system_proxies)
        name = f"{connection.endpoint} ({variable})" if several_keys else connection.endpoint
        found.append(Replica(name, connection, read_account(own, environ), variable))
    return found


def open_transport(
    replicas: Sequence[Replica], options: OpenAIOptions, longest: int
) -> Transport | Pool:
    """What sends the questions; not opened yet.

    Args:
        replicas: One server, or those of a pool.
        options: How requests are spread over them.
        longest: Bytes of one answer at the most.
    """
    from lm_eval_so.runner.backends.openai.client import (  # noqa: PLC0415 - a second of CPU
        with_sdk_headers,
    )

    path, transports = PATHS[options.wire], dict[str, Transport]()
    for name, connection, account, _ in replicas:
        bounded = replace(connection, connect_s=CONNECT_S if len(replicas) > 1 else None)
        ready = with_sdk_headers(bounded, account)
        transports[name] = Transport(ready, path, longest=longest)
    if len(transports) == 1:
        return transports.popitem()[1]
    return Pool(transports, prefix_of=system_text if options.affinity else None)


def concerned_by(error: BackendError, replicas: Sequence[Replica]) -> Sequence[Replica]:
    """The replica that an error is about; all where none was reached, or nobody knows."""
    if isinstance(error, EndpointUnreachableError):
        return replicas
    return [one for one in replicas if one.name == error.served_by] or replicas


def setup_of(replicas: Sequence[Replica], options: OpenAIOptions) -> Setup:
    """How these replicas were set up, for a sentence that names them all."""
    where, first = ", ".join(one.name for one in replicas), replicas[0]
    variables = " and ".join(sorted({one.key_variable for one in replicas}))
    by_userinfo = first.account.by_userinfo
    return Setup(
        endpoint=where,
        address_variable="OPENAI_BASE_URL",
        key=userinfo_words(where) if by_userinfo else key_words(options.api_key, variables),
        by_proxy=first.connection.proxy is not None,
    )


def system_text(body: bytes) -> bytes:
    """What stands before the first message of a user, as JSON; empty where nothing does.

    Args:
        body: Of Chat Completions, or of Responses.
    """
    sent = orjson.loads(body)
    leading: list[Any] = [sent["instructions"]] if sent.get("instructions") else []
    for message in sent["messages"] if "messages" in sent else sent["input"]:
        if message.get("role") not in _INSTRUCTIONS:
            break
        leading.append(message.get("content"))
    return orjson.dumps(leading) if leading else b""
