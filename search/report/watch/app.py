"""Application of the live page: what may be asked for, and who may ask.

Only GET is answered, under addresses that begin with the token, to browsers that were sent to this
very host. Nothing in a run is executed, and nothing is written.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Collection
from functools import partial

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from search.report.page.write import page_policy, page_text, rendered
from search.report.watch.follow import POLL_SECONDS, FollowedRun, FollowedRuns
from spaces.errors import UserError

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
QUIET_SECONDS = 15.0
"""After which a word is sent for the connection to be kept."""


class Guard:
    """Refuses requests to other hosts, with other methods, or without the token."""

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str]) -> None:
        self.app, self.token, self.hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal:
            await refusal(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if host not in self.hosts:
            return PlainTextResponse("403: this page is not served to that host.", 403)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("405: this page is only looked at.", 405, {"Allow": "GET"})
        given = scope["path"].split("/")[1]
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return PlainTextResponse("403: the address lacks the token that was printed.", 403)
        return None


def make_app(runs: FollowedRuns, token: str, hosts: Collection[str]) -> Guard:
    """Return the application; ``hosts`` are the Host headers that are answered."""
    routes = [
        Route(f"/{token}/", partial(index, runs)),
        Route(f"/{token}/run/{{name}}", partial(page, runs)),
        Route(f"/{token}/run/{{name}}/events", partial(events, runs)),
    ]
    return Guard(Starlette(routes=routes), token, hosts)


async def index(runs: FollowedRuns, request: Request) -> Response:
    if runs.single:
        return await _page_of(runs, runs.path.name)
    listed = await anyio.to_thread.run_sync(runs.listed)
    return _html(rendered("runs.html.j2", title=runs.path.name, runs=listed), page_policy())


async def page(runs: FollowedRuns, request: Request) -> Response:
    return await _page_of(runs, request.path_params["name"])


async def _page_of(runs: FollowedRuns, name: str) -> Response:
    live = page_text("live.js")
    try:
        run = await anyio.to_thread.run_sync(runs.run, name)
        if run is None:
            return PlainTextResponse(f"404: there is no run {name}.", 404, HEADERS)
        return _html(await anyio.to_thread.run_sync(run.page, live), page_policy(live))
    except UserError as error:
        return PlainTextResponse(f"The run cannot be shown: {error}", 500, HEADERS)


async def events(runs: FollowedRuns, request: Request) -> Response:
    try:
        run = await anyio.to_thread.run_sync(runs.run, request.path_params["name"])
    except UserError as error:
        return PlainTextResponse(str(error), 500, HEADERS)
    if run is None:
        return PlainTextResponse("404: there is no such run.", 404, HEADERS)
    return StreamingResponse(stream(run), 200, HEADERS, media_type="text/event-stream")


async def stream(run: FollowedRun) -> AsyncIterator[str]:
    """Yield the events of a run: ``progress`` when a trial moved, ``page`` when it is made anew."""
    told, version, quiet = "", run.page_version(), 0.0
    while True:
        try:
            progress = await anyio.to_thread.run_sync(run.look)
        except UserError as error:
            yield f"event: gone\ndata: {json.dumps(str(error))}\n\n"
            return
        moved = json.dumps({k: v for k, v in progress.items() if k != "seconds_since"})
        if moved != told or quiet >= QUIET_SECONDS:
            told, quiet = moved, 0.0
            yield f"event: progress\ndata: {json.dumps(progress)}\n\n"
        if run.page_version() != version:
            version = run.page_version()
            yield f"event: page\ndata: {version}\n\n"
        await anyio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS


def _html(content: str, policy: str) -> Response:
    return HTMLResponse(content, headers=HEADERS | {"Content-Security-Policy": policy})
