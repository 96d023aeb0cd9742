from __future__ import annotations

import sys

from lm_eval_so.runner.run.metadata import environment


def test_the_environment_names_versions_and_the_machine() -> None:
    found = environment()
    assert set(found.model_dump()) == {
        *("lm_eval_so", "python", "platform", "host", "git_commit", "packages"),
    }
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert "openai" in found.packages
    found.model_dump_json()
