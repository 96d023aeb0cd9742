"""A path that cannot be is refused by its key, wherever it is given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.runner.config.schema import (
    ComposedConfig,
    DatasetConfig,
    FewShotConfig,
    PromptConfig,
    RunPlan,
    SelectConfig,
)
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.config.base import Config

KEYS: list[tuple[type[Config], str, dict[str, Any]]] = [
    (DatasetConfig, "path", {}),
    (DatasetConfig, "metadata", {"path": "d"}),
    (PromptConfig, "system_file", {}),
    (PromptConfig, "template_file", {}),
    (FewShotConfig, "path", {}),
    (SelectConfig, "ids", {}),
]
PLACES = ["output_root", "output_dir"]
IMPOSSIBLE = [
    pytest.param("", "is empty; is a variable of the shell not set?", id="empty"),
    pytest.param(" ", "is empty; is a variable of the shell not set?", id="blank"),
    pytest.param("a" * 256, "holds a name that is too long", id="256-letters"),
    pytest.param("가" * 90, "holds a name that is too long", id="90-Korean-letters"),
    pytest.param("a/" * 4000, "holds a name that is too long", id="deep"),
    pytest.param("a\0b", "holds NUL, or bytes that are not UTF-8", id="NUL"),
    pytest.param("\udcb0", "holds NUL, or bytes that are not UTF-8", id="CP949"),
    pytest.param("\ud83d", "holds NUL, or bytes that are not UTF-8", id="half-an-emoji"),
    pytest.param("file/x", "uses a file as if it were a folder", id="below-a-file"),
    pytest.param("loop", "leads to a symbolic link that points back to itself", id="loop"),
    pytest.param("loop/x", "leads to a symbolic link that points back to itself", id="in-a-loop"),
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    os.symlink("loop", "loop")  # noqa: PTH211 - of a name that is no path yet


@pytest.mark.parametrize(("model", "key", "others"), KEYS)
@pytest.mark.parametrize(("path", "sentence"), IMPOSSIBLE)
def test_a_path_that_cannot_be_is_refused_by_its_key(
    model: type[Config], key: str, others: dict[str, Any], path: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        model(**{**others, key: path})
    told = str(raised.value)
    assert f"{key}: {sentence}" in told
    assert len(told) < 700
    assert told.isprintable()


@pytest.mark.parametrize("key", PLACES)
@pytest.mark.parametrize(("path", "sentence"), IMPOSSIBLE)
def test_so_is_a_place_for_results(key: str, path: str, sentence: str) -> None:
    fields: dict[str, Any] = {"dataset": {"path": "d"}, key: path}
    for model, other in ((ComposedConfig, "backend"), (RunPlan, "run_config")):
        own = {"kind": "a"} if other == "backend" else {"backend": "a", "model": "m"}
        with pytest.raises(ConfigError, match=key) as raised:
            model(**fields, **{other: own})
        assert sentence in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(ConfigError, match="no permission to enter"):
        DatasetConfig(path=tmp_path / "closed" / "x")


@pytest.mark.parametrize(
    "path", ["absent", "absent/x", "file", "hf:org/name", "*.csv", "가나다/x", "a b", "-", "a'b"]
)
def test_a_path_where_nothing_is_yet_is_taken(path: str) -> None:
    assert str(DatasetConfig.model_validate({"path": path}).path) == path


@pytest.mark.parametrize("key", ["model", "variant", "sweep_name"])
def test_an_empty_name_is_refused_and_not_left_out(key: str) -> None:
    fields: dict[str, Any] = {"dataset": {"path": "d"}, "backend": {"kind": "a"}, key: ""}
    with pytest.raises(ConfigError, match=f"{key} must be a non-empty string, got ''"):
        ComposedConfig(**fields)
