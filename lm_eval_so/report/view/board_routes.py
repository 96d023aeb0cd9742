"""The page of a board, and what the page asks for."""

from functools import partial

import orjson
from aiohttp import web

from lm_eval_so.report.view.kept_page import Snapshot
from lm_eval_so.report.view.open_board import OpenBoard
from lm_eval_so.report.view.routes import BOARDS, json_bytes, page, problem
from lm_eval_so.runner.errors import ConfigError, StoreError

_GONE = "this run is not in the folder any more"
_LONGEST = 20  # digits of a revision
_OVER = "there is a newer revision; load manifest.json anew"


async def board_page(request: web.Request) -> web.StreamResponse:
    """The page; while its first index is built one that says so, and comes again."""
    try:
        board = await _board(request)
    except ConfigError as error:
        return page("problem.html", status=400, problem=str(error))
    if board is None:
        return page("problem.html", status=404, problem=f"{_GONE}: {request.path}")
    if board.snapshot is not None:
        return page("board.html", title=board.title, base=request.path)
    if board.problem is not None:
        return page("problem.html", status=409, problem=board.problem)
    done, of = board.progress
    return page("building.html", title=board.title, done=done, of=of)


async def with_slash(request: web.Request) -> web.StreamResponse:
    """The address of a board ends with a slash, to which what the page asks for is added."""
    raise web.HTTPFound(f"/board/{request.match_info['id']}/")


async def manifest(request: web.Request) -> web.StreamResponse:
    """``manifest.json``."""
    found = await _snapshot(request)
    return json_bytes(found.manifest) if isinstance(found, Snapshot) else found


async def revision(request: web.Request) -> web.StreamResponse:
    """The number of the newest snapshot."""
    found = await _snapshot(request)
    return json_bytes(b"%d" % found.revision) if isinstance(found, Snapshot) else found


async def index(request: web.Request) -> web.StreamResponse:
    """``index.bin``: the columns that the manifest of this revision describes.

    They are made while they are sent: those of a million results are large.
    """
    found = await _snapshot(request, at_once=True)
    if isinstance(found, web.Response):
        return found
    response = web.StreamResponse()
    response.content_type = "application/octet-stream"
    response.content_length = len(found.columns)
    await response.prepare(request)
    pieces, reading = found.columns.pieces(), request.app[BOARDS].reading
    while piece := await reading.do(partial(next, pieces, b"")):
        await response.write(piece)
    return response


async def block(request: web.Request) -> web.StreamResponse:
    """The rows of a block."""
    board = await _ready(request, at_once=True)
    if isinstance(board, web.Response):
        return board
    number, revision = int(request.match_info["number"]), _revision(request)
    if board.snapshot is not None and number >= board.snapshot.blocks:
        return problem(404, f"there is no block {number}")
    try:
        rows = await request.app[BOARDS].reading.do(partial(board.block, number, revision))
    except StoreError as error:
        return problem(409, str(error))
    if rows is None:
        await _board(request)  # has the files read anew
        return _building(board)
    return json_bytes(rows)


async def _board(request: web.Request, *, at_once: bool = False) -> OpenBoard | None:
    return await request.app[BOARDS].board(request.match_info["id"], at_once=at_once)


async def _snapshot(request: web.Request, *, at_once: bool = False) -> Snapshot | web.Response:
    """The newest one, or an answer that says why there is none.

    Args:
        request: May name a revision (``r``), which it has to be then.
        at_once: The last one that was made will do.
    """
    board = await _ready(request, at_once=at_once)
    if isinstance(board, web.Response):
        return board
    snapshot = board.snapshot
    if snapshot is None:
        return _building(board)
    if (_revision(request) or snapshot.revision) != snapshot.revision:
        return problem(409, _OVER)
    return snapshot


async def _ready(request: web.Request, *, at_once: bool) -> OpenBoard | web.Response:
    """The board, once it has been read."""
    try:
        board = await _board(request, at_once=at_once)
    except ConfigError as error:
        return problem(400, str(error))
    if board is None:
        return problem(410, _GONE)
    if board.snapshot is None:
        return _building(board) if board.problem is None else problem(409, board.problem)
    return board


def _revision(request: web.Request) -> int | None:
    text = request.query.get("r", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None


def _building(board: OpenBoard) -> web.Response:
    done, of = board.progress
    body = orjson.dumps({"error": "the results are being read", "done": done, "of": of})
    return json_bytes(body, status=503, Retry_After="1")


_ID = r"{id:[0-9a-f]{16}(?:-[0-9a-f]{16}){0,63}}"
ROUTES = (
    web.get(f"/board/{_ID}", with_slash),
    web.get(f"/board/{_ID}/", board_page),
    web.get(f"/board/{_ID}/manifest.json", manifest),
    web.get(f"/board/{_ID}/revision", revision),
    web.get(f"/board/{_ID}/index.bin", index),
    web.get(f"/board/{_ID}/block/{{number:[0-9]{{1,9}}}}", block),
)
