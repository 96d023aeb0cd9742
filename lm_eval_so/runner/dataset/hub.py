"""Datasets of Hugging Face, read with the library ``datasets`` from the hub or its cache."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.dataset.base import Pass, Record
from lm_eval_so.runner.dataset.extras import needed
from lm_eval_so.runner.errors import DatasetError

_PREFIX = "hf:"
_USUAL = "test"  # the split that is read where several are there and none is named


def is_on_hub(path: Path) -> bool:
    """Whether the path is ``hf:org/name``."""
    return str(path).startswith(_PREFIX)


class HubReader:
    """One split; the place of a record is its row, from 1."""

    def __init__(self, config: DatasetConfig) -> None:
        self._config = config
        self._rows: Any = None

    @property
    def name(self) -> str:
        """``hf:org/name``."""
        return str(self._config.path)

    @property
    def location(self) -> str:
        """What tells the split from other ones: ``hf:org/name?config=main&split=test``."""
        config = self._config
        named = {"config": config.config, "split": config.split, "revision": config.revision}
        query = "&".join(f"{key}={value}" for key, value in named.items() if value)
        return f"{self.name}?{query}" if query else self.name

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        """Opens the split, which is loaded once."""
        if self._rows is None:
            self._rows = self._split(self._loaded())
        fingerprint = getattr(self._rows, "_fingerprint", None)
        yield Pass(self._records(), lambda: fingerprint)

    def _records(self) -> Iterator[Record]:
        for number, row in enumerate(self._rows, start=1):
            yield Record(f"{self.location} row {number}", row)

    def _loaded(self) -> Any:  # noqa: ANN401 - an untyped library
        library = needed("datasets", extra="hf", purpose=f"dataset {self.name}")
        config = self._config
        try:
            return library.load_dataset(
                self.name.removeprefix(_PREFIX),
                name=config.config,
                split=config.split,
                revision=config.revision,
            )
        except Exception as error:  # the library raises whatever its loaders and the hub do
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise DatasetError(f"dataset {self.location} cannot be loaded: {reason}") from error

    def _split(self, loaded: Any) -> Any:  # noqa: ANN401 - an untyped library
        """The rows of what was loaded: of a split that was named, or of the one to choose."""
        if not isinstance(loaded, Mapping):
            return loaded
        if _USUAL in loaded:
            return loaded[_USUAL]
        if len(loaded) == 1:
            return next(iter(loaded.values()))
        known = ", ".join(map(str, loaded))
        raise DatasetError(
            f"dataset {self.name} has no split {_USUAL!r} (its splits: {known}); type "
            f"dataset.split={next(iter(loaded), _USUAL)}"
        )
