"""What stands beside the text of an answer: tokens, the model, the finish reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.backends.http_api.environment import KEY
from lm_eval_so.runner.backends.http_api.path import Path
from lm_eval_so.runner.backends.http_api.template import as_text
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lm_eval_so.runner.backends.http_api.options import HttpOptions

    Found = Callable[[Path, Mapping[str, Any]], Any]

_TEXTS = ("finish_reason", "model", "reasoning")


class Fields:
    """The paths to what is worth knowing; what they do not find is left out.

    Args:
        options: With the paths.
        names: What they can begin with.

    Attributes:
        request_id: Of the server; None for the usual headers.
        session: Of the conversation.

    Raises:
        ConfigError: A path is wrong.
    """

    def __init__(self, options: HttpOptions, names: Collection[str]) -> None:
        def path(expression: str | None, key: str) -> Path | None:
            return None if expression is None else Path(expression, names, f"{KEY}.{key}")

        texts = {name: path(getattr(options, name), name) for name in _TEXTS}
        counts = {
            name: path(getattr(options.tokens, name), f"tokens.{name}")
            for name in TokenUsage.model_fields
        }
        self._texts = {name: each for name, each in texts.items() if each is not None}
        self._counts = {name: each for name, each in counts.items() if each is not None}
        self._tool_calls = path(options.tool_calls, "tool_calls")
        self.request_id = path(options.request_id, "request_id")
        source = options.session.source if options.session else None
        self.session = path(source, "session.from")

    @property
    def paths(self) -> list[Path]:
        """All of them."""
        more = (self._tool_calls, self.request_id, self.session)
        found = [each for each in more if each is not None]
        return [*self._texts.values(), *self._counts.values(), *found]

    def read(self, values: Mapping[str, Any], found: Found) -> dict[str, Any]:
        """The fields of a ChatResponse.

        Args:
            values: What the paths look into.
            found: Looks.
        """
        fields: dict[str, Any] = {}
        for name, path in self._texts.items():
            told = found(path, values)
            fields[name] = as_text(told) or None
        if self._counts:
            fields["tokens"] = self._tokens(values, found)
        if self._tool_calls is not None:
            calls = found(self._tool_calls, values)
            some = (
                [call for call in calls if isinstance(call, dict)]
                if isinstance(calls, list)
                else []
            )
            fields["tool_calls"] = some or None
        return fields

    def _tokens(self, values: Mapping[str, Any], found: Found) -> TokenUsage | None:
        counts = {name: whole_number(found(path, values)) for name, path in self._counts.items()}
        if not any(counts.get(name) is not None for name in ("input", "output", "total")):
            return None
        asked, answered = counts.get("input"), counts.get("output")
        if counts.get("total") is None and asked is not None and answered is not None:
            counts["total"] = asked + answered
        return TokenUsage(**counts)
