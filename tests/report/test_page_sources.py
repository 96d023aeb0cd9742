"""The built page belongs to its sources: whoever changes one and not the other is told."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

WEB = REPOSITORY / "lm_eval_so" / "report" / "web"
PAGE = REPOSITORY / "lm_eval_so" / "report" / "page"
SINGLE = ("package-lock.json", "tsconfig.json", "vite.config.ts")


def sources() -> dict[str, bytes]:
    """What the page is built from, by its path below `WEB`."""
    below = [path for path in (WEB / "src").rglob("*") if path.is_file()]
    return {
        path.relative_to(WEB).as_posix(): path.read_bytes()
        for path in [*below, *(WEB / name for name in SINGLE)]
    }


def digest_of(files: dict[str, bytes]) -> str:
    """As scripts/digest.mjs computes it: each path and content, ended by a zero byte."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.encode() + b"\0" + files[path] + b"\0")
    return digest.hexdigest()


def recorded(file: Path) -> dict[str, str]:
    """The digests of a file as sha256sum writes it, by name."""
    lines = (line.split("  ", 1) for line in file.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in lines}


def test_the_page_was_built_from_these_sources() -> None:
    assert recorded(PAGE / "sources.sha256")["sources"] == digest_of(sources()), "run: make page"


def test_the_built_files_are_as_they_were_built() -> None:
    names = {"page.css", "page.js"}
    built = {name: hashlib.sha256((PAGE / name).read_bytes()).hexdigest() for name in names}
    known = recorded(PAGE / "sources.sha256")
    assert {name: known[name] for name in names} == built, "run: make page"
    assert {path.name for path in PAGE.iterdir()} == {*names, "sources.sha256"}


def test_a_change_of_one_source_is_a_change_of_the_digest() -> None:
    files = sources()
    assert {"src/main.tsx", *SINGLE} <= files.keys()
    assert digest_of(files | {"src/main.tsx": b""}) != digest_of(files)
    assert digest_of({**files, "src/new.ts": b""}) != digest_of(files)


def test_the_page_can_stand_in_an_html_file() -> None:
    script = (PAGE / "page.js").read_text(encoding="utf-8")
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    assert not re.search(r"</?script", script, re.IGNORECASE)
    assert "</style" not in style.lower()
    assert "sourceMappingURL" not in script
    assert not re.search(r"\beval\(|new Function\(", script)
