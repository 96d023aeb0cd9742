"""No key is in what Ray writes or shows, nor in the run directory, nor in a command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.fake_openai import FakeOpenAI, Reply
from support.ray_cluster import WORKER, command_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.ray_cluster import Cluster, Driver

KEY = "sk-proj-0123456789-of-nobody"
WORD = "hunter2-and-more-words"
OPTION = "backend.options"


@dataclass(frozen=True)
class Case:
    secret: str = KEY
    given: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    sent: str = KEY


CASES = {
    "environment": Case(env={"OPENAI_API_KEY": KEY}),
    "option": Case(given=[f"{OPTION}.api_key={KEY}"]),
    "variable of another name": Case(
        given=[f"{OPTION}.api_key_env=MINE"], env={"MINE": KEY, "OPENAI_API_KEY": "other-key-1"}
    ),
    "header": Case(WORD, [f"+{OPTION}.default_headers={{X-Odd: {WORD}}}"], sent=WORD),
    "password in the address": Case(
        WORD, [f"{OPTION}.base_url=http://me:{WORD}@{{place}}"], sent="Basic"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_key_is_nowhere(
    cluster: Cluster,
    on_cluster: Callable[..., Driver],
    make_dataset: Callable[..., Path],
    case: Case,
) -> None:
    shown: list[str] = []

    def answer(_: object, nth: int) -> Reply:
        shown.extend(all_command_lines())
        if nth == 1:
            return Reply(status=500, text=f"what is {case.secret}?")
        return Reply(text=f"you sent {case.secret}")

    with FakeOpenAI(answer) as server:
        given = [each.replace("{place}", server.base_url[len("http://") :]) for each in case.given]
        few = [f"dataset.path={make_dataset(6)}", "runner.log_level=debug"]
        driver = on_cluster(server, *given, *few, env=case.env)
        with driver:
            assert driver.wait() == 0, driver.said
            written = {"terminal": driver.said.encode()}
        sent = [str(received.headers) for received in server.requests]
    assert len(sent) == 12
    assert all(case.sent in headers for headers in sent)
    written |= {str(path): path.read_bytes() for path in files(cluster.folder, Path("run"))}
    found = {
        name: content[max(0, content.find(case.secret.encode()) - 100) :][:300]
        for name, content in written.items()
        if case.secret.encode() in content
    }
    assert not found
    assert any(line.startswith(WORKER) for line in shown)
    # The command of the driver is what was typed.
    typed = [line for line in shown if case.secret in line and "lm_eval_so" not in line]
    assert not typed


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def all_command_lines() -> list[str]:
    return [command_line(int(pid.name)) for pid in Path("/proc").glob("[0-9]*")]
