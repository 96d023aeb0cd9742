"""A key is found in no file and on no terminal, whichever way it was given and however it ends."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest

from conftest import rows
from lm_eval_so.runner.hydra_app.app import main
from support.fake_openai import FakeOpenAI, Received, Reply
from support.fake_wires import FakeAnthropic
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "sk-very/secret+key=0123456789"
ANOTHER = "f81d4fae7dec11d0a76500a0c91e6bf6"
NUMBER = "918273645546372"
HEADER = "Bearer tok-0123456789-abcdef"
PASSWORD = "pass-word-99"  # noqa: S105 - nobody's
OPTION = "backend.options"


@dataclass(frozen=True)
class Case:
    """A way to give a key.

    Attributes:
        given: Arguments; ``{base_url}`` is the server's address.
        secrets: What must be found nowhere.
        env: Variables.
        yaml: A backend's YAML of the person's own.
        sent: What the server must have got, to tell that the way is one; empty where it gets none.
        server: What answers; it decides the backend.
    """

    given: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = (KEY,)
    env: dict[str, str] = field(default_factory=dict)
    yaml: str = ""
    sent: str = KEY
    server: type[FakeOpenAI] = FakeOpenAI

    @property
    def backend(self) -> str:
        return "anthropic" if self.server is FakeAnthropic else "openai"


def with_key(*given: str, secrets: tuple[str, ...] = (ANOTHER,), **more: Any) -> Case:  # noqa: ANN401 - of Case
    """A case whose key is beside the one in the environment."""
    more.setdefault("sent", secrets[0])
    return Case([*given], (*secrets, KEY), {"OPENAI_API_KEY": KEY}, **more)


CASES = {
    "environment": Case(env={"OPENAI_API_KEY": KEY}),
    "named variable": Case([f"{OPTION}.api_key_env=MINE"], env={"MINE": KEY}),
    "named variables": Case(
        [f"{OPTION}.api_key_env=[MINE,OTHER]"], (KEY, ANOTHER), {"MINE": KEY, "OTHER": ANOTHER}
    ),
    "option": Case([f"{OPTION}.api_key='{KEY}'"]),
    "option without quotes": Case([f"{OPTION}.api_key={KEY}"]),
    "option that is a number": Case([f"{OPTION}.api_key={NUMBER}"], (NUMBER,), sent=NUMBER),
    "dictionary": Case([f"{OPTION}={{api_key: '{KEY}'}}"]),
    "interpolation": Case([f"{OPTION}.api_key=${{oc.env:MINE}}"], env={"MINE": KEY}),
    "header": with_key(f"+{OPTION}.default_headers.X-Api-Key={ANOTHER}"),
    "header of an unusual name": with_key(f"+{OPTION}.default_headers.X-Odd={ANOTHER}"),
    "headers": with_key(
        f"{OPTION}.default_headers={{Ocp-Apim-Subscription-Key: {ANOTHER}, api-key: {ANOTHER}}}"
    ),
    "header that authorises": Case(
        [f"+{OPTION}.default_headers.Authorization='{HEADER}'"],
        (HEADER, HEADER.split()[1], KEY),
        {"OPENAI_API_KEY": KEY},
        sent=HEADER,
    ),
    "headers of the environment": Case(
        secrets=(ANOTHER, KEY),
        env={"OPENAI_API_KEY": KEY, "OPENAI_CUSTOM_HEADERS": f"X-Odd: {ANOTHER}"},
        sent=ANOTHER,
    ),
    "query of the address": with_key(f"{OPTION}.base_url={{base_url}}?api-key={ANOTHER}"),
    "query": with_key(f"{OPTION}.default_query={{api-key: {ANOTHER}, code: {ANOTHER}}}"),
    "password in the address": Case(
        [f"{OPTION}.base_url=http://me:{PASSWORD}@{{place}}"], (PASSWORD,), sent=PASSWORD
    ),
    "password in the address of the environment": Case(
        env={"OPENAI_BASE_URL": f"http://me:{PASSWORD}@{{place}}"},
        secrets=(PASSWORD,),
        sent=PASSWORD,
    ),
    "oc.env in params": Case(["params.user=${oc.env:OPENAI_API_KEY}"], env={"OPENAI_API_KEY": KEY}),
    "oc.env in other groups": Case(
        [
            *("metadata.note=${oc.env:OPENAI_API_KEY}", "variant=${oc.env:OPENAI_API_KEY}"),
            "runner.trace_prefix=${oc.env:OPENAI_API_KEY}",
            *("tracking.tags.note=${oc.env:OPENAI_API_KEY}", "metadata.token=abc-123-def"),
        ],
        (KEY, "abc-123-def"),
        {"OPENAI_API_KEY": KEY},
    ),
    "YAML": Case(yaml=f'api_key: "{KEY}"'),
    "YAML, a number": Case(yaml=f"api_key: {NUMBER}", secrets=(NUMBER,), sent=NUMBER),
    "YAML, headers": Case(
        yaml=f"default_headers: {{X-Odd: {ANOTHER}, X-Number: {NUMBER}}}",
        secrets=(ANOTHER, NUMBER, KEY),
        env={"OPENAI_API_KEY": KEY},
        sent=NUMBER,
    ),
    "YAML, an address": Case(
        yaml=f"base_url: '{{base_url}}?api-key={ANOTHER}'",
        secrets=(ANOTHER, KEY),
        env={"OPENAI_API_KEY": KEY},
        sent=ANOTHER,
    ),
    "anthropic": Case(env={"ANTHROPIC_API_KEY": KEY}, server=FakeAnthropic),
    "anthropic, option": Case([f"{OPTION}.api_key='{KEY}'"], server=FakeAnthropic),
    "anthropic, a token": Case(env={"ANTHROPIC_AUTH_TOKEN": KEY}, server=FakeAnthropic),
    "anthropic, headers of the environment": Case(
        secrets=(ANOTHER, KEY),
        env={"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_CUSTOM_HEADERS": f"X-Odd: {ANOTHER}"},
        sent=ANOTHER,
        server=FakeAnthropic,
    ),
    "anthropic, password in the address": Case(
        [f"{OPTION}.base_url=http://me:{PASSWORD}@{{place}}"],
        (PASSWORD,),
        sent=PASSWORD,
        server=FakeAnthropic,
    ),
    "in the place of a name": Case(
        [f"{OPTION}.api_key_env=sk-proj-{ANOTHER}"], (ANOTHER,), sent=""
    ),
    "in the place of a name in a list": Case(
        [f"{OPTION}.api_key_env=[MINE,{ANOTHER}]"], (ANOTHER, KEY), {"MINE": KEY}, sent=""
    ),
    "in the place of a name in a list of YAML": Case(
        yaml=f"api_key_env: [MINE, {ANOTHER}]",
        secrets=(ANOTHER, KEY),
        env={"MINE": KEY},
        sent="",
    ),
    "passwords in several addresses": Case(
        [f'{OPTION}.base_url=["http://me:{PASSWORD}@{{place}}","{{base_url}}?api-key={ANOTHER}"]'],
        (PASSWORD, ANOTHER, KEY),
        {"OPENAI_API_KEY": KEY},
        sent=ANOTHER,
    ),
    "in the place of a name, as a word": Case(
        [f"{OPTION}.api_key_env=gsk_{ANOTHER}"], (ANOTHER,), sent=""
    ),
}


def told_back(received: Received, _: int) -> Reply:
    """A server that repeats all it got, in its errors and in its answers."""
    got = f"{dict(received.headers)} {received.path} {unquote_plus(received.path)} {received.body}"
    if received.question.endswith("1"):
        return Reply(status=400, text=f"bad: {got}", extra={"sent": [got]})
    return Reply(text=f"you sent {got}")


class Place:
    """A folder in which a case is tried, with a server beside it."""

    def __init__(self, case: Case, folder: Path, dataset: Path, server: FakeOpenAI) -> None:
        self.case, self.folder, self.server = case, folder, server
        self._address = {"base_url": server.base_url, "place": server.base_url[len("http://") :]}
        self._conf = folder / "conf"
        (self._conf / "backend").mkdir(parents=True)
        lines = [
            f"defaults: [{case.backend}, _self_]",
            *("options:", f"  {case.yaml or 'base_url: null'}"),
        ]
        (self._conf / "backend" / "own.yaml").write_text(self._filled("\n".join(lines)))
        self._dataset = dataset

    def _filled(self, text: str) -> str:
        for name, value in self._address.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    @property
    def arguments(self) -> list[str]:
        target = ["dataset=path", f"dataset.path={self._dataset}", "output_root=out"]
        given = [self._filled(argument) for argument in self.case.given]
        return ["backend=own", "model=m", f"--config-dir={self._conf}", *target, *given]

    @property
    def env(self) -> dict[str, str]:
        variables = {name: self._filled(value) for name, value in self.case.env.items()}
        return {f"{self.case.backend.upper()}_BASE_URL": self.server.base_url, **variables}

    def written(self) -> dict[str, bytes]:
        """Every file that was written, and the names of all."""
        files = [path for path in self.folder.rglob("*") if self._conf not in path.parents]
        names = "\n".join(map(str, files)).encode()
        return {"names": names} | {
            str(path): path.read_bytes()
            for path in files
            if path.is_file() and self._dataset not in path.parents
        }

    def assert_nowhere(self, **shown: str) -> None:
        """No secret of the case is in a file, or in what was shown."""
        everywhere = self.written() | {name: text.encode() for name, text in shown.items()}
        found = [
            (secret, where, content[max(0, content.find(secret.encode()) - 80) :][:200])
            for secret in self.case.secrets
            for where, content in everywhere.items()
            if secret.encode() in content
        ]
        assert not found


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    with CASES[request.param].server(told_back) as server:
        made = Place(CASES[request.param], tmp_path, make_dataset(3), server)
        for name, value in made.env.items():
            monkeypatch.setenv(name, value)
        yield made


every_case = pytest.mark.parametrize("place", CASES, indirect=True)
some_cases = pytest.mark.parametrize(
    "place", ["option", "dictionary", "headers", "query of the address", "YAML"], indirect=True
)
SNAPSHOTS = ["hydra.output_subdir=.hydra", "hydra.run.dir=snapshots", "hydra.sweep.dir=snapshots"]


@every_case
def test_a_run_shows_it_nowhere(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    code = main([*place.arguments, *SNAPSHOTS, "runner.log_level=debug", "runner.max_failures=3"])
    shown = capfd.readouterr()
    sent = "\n".join(f"{got.headers} {unquote_plus(got.path)}" for got in place.server.requests)
    assert ("Basic" if place.case.sent == PASSWORD else place.case.sent) in sent
    assert code == (0 if place.case.sent else 2), shown.err
    assert (place.folder / "snapshots" / ".hydra" / "config.yaml").is_file()
    place.assert_nowhere(stdout=shown.out, stderr=shown.err)


@every_case
def test_a_sweep_shows_it_nowhere(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", *place.arguments, *SNAPSHOTS, "params.n=1,2"]) in (1, 2)
    assert list(place.folder.rglob("sweep.json"))
    shown = capfd.readouterr()
    place.assert_nowhere(stdout=shown.out, stderr=shown.err)


def test_a_sweep_over_keys_shows_none_of_them(
    tmp_path: Path, make_dataset: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    case = Case(
        [f"{OPTION}.api_key={ANOTHER},{NUMBER}", "variant=${hydra:job.num}"], (ANOTHER, NUMBER)
    )
    with FakeOpenAI(told_back) as server:
        place = Place(case, tmp_path, make_dataset(2), server)
        assert main(["-m", *place.arguments, f"{OPTION}.base_url={server.base_url}"]) == 1
    assert {got.headers["Authorization"] for got in server.requests} == {
        f"Bearer {ANOTHER}",
        f"Bearer {NUMBER}",
    }
    shown = capfd.readouterr()
    place.assert_nowhere(stdout=shown.out, stderr=shown.err)


@every_case
def test_no_page_shows_it(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    main([*place.arguments, "report.auto=true", "runner.max_failures=3"])
    pages = [ReadPage.of_file(path) for path in (place.folder / "out").rglob("report.html")]
    assert len(pages) == bool(place.case.sent), "where nothing was sent there is no run"
    assert all(cell["command"] for page in pages for cell in page.manifest["cells"])
    shown, text = capfd.readouterr(), "".join(page.everything() for page in pages)
    place.assert_nowhere(page=text, stdout=shown.out, stderr=shown.err)


def assert_not_printed(place: Place, how: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*place.arguments, *how]) == 0, how
    shown = capfd.readouterr()
    place.assert_nowhere(stdout=shown.out, stderr=shown.err)
    assert "options:" in shown.out + shown.err or "@package" in shown.out


@every_case
def test_no_print_of_the_config_shows_it(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert_not_printed(place, ["--cf=all", "--resolve"], capfd)


@some_cases
@pytest.mark.parametrize("how", [["-cjob"], ["--info", "all"], ["--help"]], ids=" ".join)
def test_no_other_print_shows_it(
    place: Place, capfd: pytest.CaptureFixture[str], how: list[str]
) -> None:
    assert_not_printed(place, how, capfd)


@pytest.mark.parametrize("place", ["headers", "YAML", "YAML, headers"], indirect=True)
@pytest.mark.parametrize("package", ["backend", OPTION, f"{OPTION}.default_headers"])
def test_no_print_of_a_part_of_the_config_shows_it(
    place: Place, capfd: pytest.CaptureFixture[str], package: str
) -> None:
    assert_not_printed(place, ["--cfg=job", "-p", package], capfd)


@some_cases
@pytest.mark.parametrize("full", "01")
def test_no_error_in_the_config_shows_it(
    place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", full)
    for wrong in (
        *("runner.timeout=-1", "runnr.timeout=3", f"{OPTION}.api_kee=x", "params.a=${nothing:}"),
        *(
            "model=a=b=c",
            f"{OPTION}.default_headers=[{ANOTHER}]",
            f"{OPTION}.api_key={{a: '{KEY}'}}",
        ),
        f"{OPTION}={{api_key: a b='{KEY}'}}",
    ):
        assert main([*place.arguments, wrong]) == 2, wrong
        shown = capfd.readouterr()
        place.assert_nowhere(stdout=shown.out, stderr=shown.err)
    assert place.server.requests == []


def test_the_environment_keeps_no_key_that_was_typed(
    tmp_path: Path,
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does a child process that needs none get it: ``git`` is asked for the commit."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\n")
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    case = Case([f"{OPTION}.api_key={KEY}", f"{OPTION}.base_url={{base_url}}"])
    with FakeOpenAI() as server:
        assert main(Place(case, tmp_path, make_dataset(1), server).arguments) == 0
    assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    given = (tmp_path / "environment").read_text()
    assert "PATH=" in given
    assert KEY not in given
    assert not [name for name, value in os.environ.items() if "SECRET" in name or KEY in value]


WORD = "anything"
"""As the README has it: any text will do for a server that asks for no key."""


def rows_of(folder: Path) -> list[dict[str, Any]]:
    (results,) = folder.rglob("run_results.jsonl")
    drop = {"trace_id", "latency_ms", "started_at", "completed_at"}
    found = rows(results)
    for row in found:
        row["response"].pop("request_id")  # which the server counts
    return [{name: value for name, value in row.items() if name not in drop} for row in found]


@pytest.mark.parametrize("word", [WORD, "none", "question", "gpt-4o", "2024", "sample id", "EMPTY"])
def test_a_key_that_is_a_word_is_cut_out_of_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    sample = {
        "id": f"{word}-1",
        "messages": [{"role": "user", "content": f"is {word} a question of {word}?"}],
        "expected": {word: [word]},
        "tags": [word],
        "metadata": {word: word},
        word: word,
    }
    (tmp_path / f"{word}.jsonl").write_text(json.dumps(sample) + "\n")
    with FakeOpenAI(lambda _received, _nth: Reply(text=f"{word} it is")) as server:
        target = [
            f"dataset.path='{tmp_path}/{word}.jsonl'",
            f"model='{word}'",
            f"params.x='{word}'",
        ]
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        for key in (word, KEY):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            out = tmp_path / f"out of {len(key)}"
            command = ["backend=openai", "dataset=path", *target, f"output_root='{out}'"]
            assert main(command) == 0
            assert main(command) == 0, "what has its answer is not asked again"
    assert len(server.requests) == 2
    kept = rows_of(tmp_path / f"out of {len(word)}")
    assert kept == rows_of(tmp_path / f"out of {len(KEY)}")
    assert kept[0]["sample_id"] == f"{word}-1"
    assert kept[0]["response"]["text"] == f"{word} it is"
    names = [
        [found.parent.name for found in tmp_path.glob(f"out of {n}/*/*/run_results.jsonl")]
        for n in (len(word), len(KEY))
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 1


def test_an_answer_that_repeats_the_key_is_kept_without_it(
    tmp_path: Path, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    asked = {"s1": f"is {KEY} a key?"}
    with FakeOpenAI() as server:
        dataset = make_dataset(2, **asked)
        command = [
            *("backend=openai", "model=m", "dataset=path", f"dataset.path={dataset}"),
            *(f"{OPTION}.base_url={server.base_url}", "output_dir=run"),
        ]
        assert main(command) == 0
        assert main(command) == 0
    assert len(server.requests) == 2
    kept = rows(tmp_path / "run" / "run_results.jsonl")[1]
    assert kept["response"]["text"] == "echo: is *** a key?"
    assert kept["request_messages"][0]["content"] == asked["s1"], "a question is data"


def test_a_directory_with_a_key_in_its_name_and_record_goes_on(
    tmp_path: Path, make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As earlier versions left them where a parameter was a key."""
    monkeypatch.setenv("OPENAI_API_KEY", ANOTHER)
    with FakeOpenAI() as server:
        command = [
            *("backend=openai", "model=m", "dataset=path", f"dataset.path={make_dataset(2)}"),
            *("output_root=out", "params.user=${oc.env:OPENAI_API_KEY}"),
            f"{OPTION}.base_url={server.base_url}",
            f"{OPTION}.default_headers={{X-Team: qa}}",
        ]
        assert main(command) == 0
        (record,) = tmp_path.glob("out/numbers/*/run_metadata.json")
        metadata = json.loads(record.read_text())
        assert metadata["identity"]["parameters"] == {"user": "***"}
        metadata["identity"]["parameters"] = {"user": ANOTHER}
        metadata["identity"]["backend_options"]["default_headers"] = {}
        record.write_text(json.dumps(metadata))
        named = f"openai_m_user={ANOTHER}-{metadata['fingerprint'][:8]}"
        record.parent.rename(record.parent.with_name(named))
        assert main(command) == 0
    assert len(server.requests) == 2
