"""A Slurm of one node, this machine, that is gone with the block: its daemons, files and ports.

It needs root, and Debian's packages ``slurmctld slurmd slurm-client munge``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "squeue")
PATIENCE_S = 30
CONFIG = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP OverSubscribe=FORCE:8
"""


def missing() -> str | None:
    """Why there can be no Slurm here."""
    if os.geteuid() != 0:
        return "it takes root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"no {', '.join(absent)}" if absent else None


@contextmanager
def slurm_node(folder: Path) -> Iterator[None]:
    """Slurm's commands work within, in this process and its children."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)  # munge looks whether others may
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    config.write_text(
        CONFIG.format(folder=folder, host=socket.gethostname(), ports=[free_port(), free_port()])
    )
    os.environ["SLURM_CONF"] = str(config)
    commands: list[tuple[str, ...]] = [
        ("munged", "--foreground", "--force", f"--key-file={key}", *munge_files(folder)),
        ("slurmctld", "-D", "-c"),
        ("slurmd", "-D", "-N", socket.gethostname()),
    ]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons += (start(command, folder / f"{command[0]}.out") for command in commands)
        wait_for_node()
        yield
    finally:
        end_jobs()
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(PATIENCE_S)
        del os.environ["SLURM_CONF"]


def munge_files(folder: Path) -> Iterator[str]:
    for option, name in (("socket", "socket"), ("pid-file", "pid"), ("log-file", "log")):
        yield f"--{option}={folder}/munge.{name}"
    yield f"--seed-file={folder}/munge.seed"


def start(command: tuple[str, ...], output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


def wait_for_node() -> None:
    deadline = time.monotonic() + PATIENCE_S
    while asked("sinfo", "--noheader", "--format=%t").strip() != "idle":
        if time.monotonic() > deadline:
            raise RuntimeError("the node does not come up")
        time.sleep(0.2)


def asked(*command: str) -> str:
    """What a command of Slurm's says."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def end_jobs() -> None:
    """Leaves no process of a job behind, whatever happened."""
    asked("scancel", "--signal=KILL", "--full", "--me")
    asked("scancel", "--me")
    deadline = time.monotonic() + PATIENCE_S
    while asked("squeue", "--noheader").strip() and time.monotonic() < deadline:
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
