"""The list of what there is."""

from aiohttp import web

from lm_eval_so.report.view.listing import listing
from lm_eval_so.report.view.routes import BOARDS, page, static
from lm_eval_so.report.view.words import words_for

_MOST_PICKED = 64


async def list_page(request: web.Request) -> web.StreamResponse:
    """Sweeps, then runs, the newest first."""
    boards = request.app[BOARDS]
    found = await boards.found()
    shown = listing(found, await boards.counts_of(found))
    words = words_for(request.headers.get("Accept-Language", ""))
    return page("list.html", root=str(found.root), listing=shown, words=words)


async def picked(request: web.Request) -> web.StreamResponse:
    """Leads to the board of the runs that were picked."""
    runs = dict.fromkeys(request.query.getall("run", []))
    if not runs:
        raise web.HTTPFound("/")
    if len(runs) > _MOST_PICKED:
        sentence = f"at most {_MOST_PICKED} runs stand side by side, {len(runs)} were picked"
        return page("problem.html", status=400, problem=sentence)
    known = (await request.app[BOARDS].found()).runs
    if not all(run in known for run in runs):
        return page("problem.html", status=404, problem="a run that was picked is gone")
    raise web.HTTPFound(f"/board/{'-'.join(runs)}/")


ROUTES = (
    web.get("/", list_page),
    web.get("/board", picked),
    web.get("/static/{name}", static),
)
