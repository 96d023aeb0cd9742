"""A process that forks a run for each command, so that none has to import anything.

Its arguments are a folder and a dataset; on its stdin is a JSON list of orders: ``run``, the name
of a run directory in the folder, and ``faults``, for each command of it the arguments of ``fault``
in ``faults.c``, or null. ``store`` has options of the run's `StoreOptions`, for all commands, or a
list of them, one a command. After an order ``until_alive`` whose first command was not killed, the
others are left out.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from lm_eval_so import RunConfig
from lm_eval_so.runner import api
from lm_eval_so.runner.config.schema import StoreOptions
from lm_eval_so.runner.errors import LmEvalError

CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 0})
BUG = 70
library = ctypes.CDLL(os.environ["LD_PRELOAD"])


def command(
    dataset: str, directory: Path, fault: list[Any] | None, store: dict[str, Any]
) -> dict[str, Any]:
    """One command in a process of its own, and how it ended."""
    with tempfile.TemporaryFile("w+") as said:
        pid = os.fork()
        if not pid:
            code = BUG
            try:
                code = _carry_out(dataset, directory, fault, store, said)
            except BaseException:  # noqa: BLE001 - told to the parent
                traceback.print_exc(file=said)
            said.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said.seek(0)
        return {"code": code, "said": said.read()}


def _carry_out(
    dataset: str,
    directory: Path,
    fault: list[Any] | None,
    store: dict[str, Any],
    said: Any,  # noqa: ANN401 - a file
) -> int:
    if fault:
        call, path, *numbers = fault
        library.fault(call.encode(), path.encode(), *numbers)
    try:
        report = api.carry_out(dataset, CONFIG, output_dir=directory, store=StoreOptions(**store))
    except LmEvalError as error:
        said.write(str(error))
        return 2
    if report.fault is not None and not isinstance(report.fault, LmEvalError):
        raise report.fault
    said.write(str(report.fault or ""))
    return report.exit_code


def main(folder: Path, dataset: str) -> None:
    for order in json.load(sys.stdin):
        store, faults = order.get("store", {}), order["faults"]
        stores = store if isinstance(store, list) else [store] * len(faults)
        ended = [
            command(order.get("dataset", dataset), folder / order["run"], *each)
            for each in zip(faults, stores, strict=True)
        ]
        print(json.dumps(ended), flush=True)  # noqa: T201 - its answer
        if order.get("until_alive") and ended[0]["code"] >= 0:
            break


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
