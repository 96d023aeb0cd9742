"""What handlers of requests share."""

from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lm_eval_so.report.view.boards import Boards
from lm_eval_so.runner.masking.visible import visible

BOARDS = web.AppKey("boards", Boards)

_HERE = Path(__file__).parent
_BUILT = _HERE.parent / "page"
_FILES = {
    "list.css": _HERE / "static" / "list.css",
    "list.js": _HERE / "static" / "list.js",
    "page.css": _BUILT / "page.css",
    "page.js": _BUILT / "page.js",
}
_TYPES = {".css": "text/css", ".js": "text/javascript"}


def _shown(value: object) -> object:
    """Text as it may stand in a page: without what changes its direction, or is no character."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return visible(value).encode(errors="backslashreplace").decode()


_PAGES = Environment(
    loader=FileSystemLoader(_HERE / "static"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(name: str, *, status: int = 200, **values: Any) -> web.Response:  # noqa: ANN401 - any value
    """An HTML page made of a template; every value in it is escaped."""
    text = _PAGES.get_template(name).render(**values)
    return web.Response(text=text, content_type="text/html", status=status)


def problem(status: int, sentence: str, **headers: str) -> web.Response:
    """An answer to a program: why there is no other one."""
    sentence = str(_shown(sentence))
    return json_bytes(orjson.dumps({"error": sentence}), status=status, **headers)


def json_bytes(body: bytes, *, status: int = 200, **headers: str) -> web.Response:
    """An answer that is JSON already."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, status=status, content_type="application/json", headers=names)


async def static(request: web.Request) -> web.StreamResponse:
    """A file of the pages, by its name in a table."""
    path = _FILES.get(request.match_info["name"])
    if path is None or not path.is_file():
        raise web.HTTPNotFound
    return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")
