"""A real nginx before a server, with files and a port of its own; it ends with its ``with``."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Self

from support.patience import PATIENCE_S, wait_for
from support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      {location}
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


def missing() -> str:
    """Why there can be no nginx here; empty where there can."""
    return "" if shutil.which("nginx") else "nginx is not installed (apt-get install nginx)"


class Nginx:
    """Passes everything on to ``upstream``, a port of this machine.

    Args:
        folder: Holds its config, logs and pid file; made if it is not there.
        upstream: The port of the server behind it.
        http: Lines for its ``http`` block.
        location: Lines for its only ``location``.
    """

    def __init__(self, folder: Path, upstream: int, http: str = "", location: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.config = folder / "nginx.conf"
        self.errors = folder / "error.log"
        self.config.write_text(
            CONFIG.format(
                # Workers of root's nginx are "nobody", who may not enter a folder of root's.
                user="user root;" if os.geteuid() == 0 else "",
                folder=folder,
                port=self.port,
                upstream=upstream,
                http=http,
                location=location,
            )
        )

    def command(self, *arguments: str) -> list[str]:
        return [
            *("nginx", "-e", str(self.errors), "-p", str(self.folder), "-c", str(self.config)),
            *arguments,
        ]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command())
        try:
            self._wait_until_it_listens()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def reload(self) -> None:
        """New workers take over; old ones end once their requests are answered."""
        subprocess.run(self.command("-s", "reload"), check=True)

    def _end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def _wait_until_it_listens(self) -> None:
        wait_for(self._listens)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.errors.read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0
