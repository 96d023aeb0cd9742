"""The servers and accounts that the options name: one, or those of a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from lm_eval_so.runner.backends.http.pool import CONNECT_S, Pool
from lm_eval_so.runner.backends.http.transport import Transport
from lm_eval_so.runner.backends.openai.environment import Account, read_account, read_connection
from lm_eval_so.runner.backends.openai.options import PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lm_eval_so.runner.backends.http.connection import Connection
    from lm_eval_so.runner.backends.openai.options import OpenAIOptions

_INSTRUCTIONS = ("system", "developer")  # roles


class Replica(NamedTuple):
    """One server with one account.

    Attributes:
        name: How it is written: its address, and the variable of its key where keys differ.
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

    connect = CONNECT_S if len(replicas) > 1 else None
    transports = {
        one.name: Transport(
            with_sdk_headers(one.connection, one.account), PATH, longest=longest, connect=connect
        )
        for one in replicas
    }
    if len(transports) == 1:
        return transports.popitem()[1]
    return Pool(transports, prefix_of=system_text if options.affinity else None)


def system_text(body: bytes) -> bytes:
    """The messages before the first one of a user, as JSON; empty where there are none."""
    leading: list[Any] = []
    for message in orjson.loads(body)["messages"]:
        if message.get("role") not in _INSTRUCTIONS:
            break
        leading.append(message.get("content"))
    return orjson.dumps(leading) if leading else b""
