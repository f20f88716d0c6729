"""The tagging server: drop an image on its page, or post one to its JSON endpoint.

It listens on 127.0.0.1 alone, answers only to that name, takes images from the body of a request
and never a path, and keeps nothing.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.errors import MissingExtra, SettingsError
from src.images import UnreadableImage, open_image
from src.images.decode import TooLarge
from src.settings.use_models import TagImages
from src.tagging.choice import TagChoice, choose
from src.tagging.selected_tags import category_name
from src.tagging.taggers import Tagger

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BYTES = 32 << 20  # of one upload
MAX_HELD = 128 << 20  # of all uploads in memory
BODY_SECONDS = 10  # for an upload to arrive
# Images of more pixels wait in a line of their own, so that small ones need not wait for them.
LINES = 16_000_000, 64_000_000
MAX_WAITING = 16, 4  # in either line
_PAGE = Path(__file__).with_name("page.html")
_MOST_TAGS = 500


def make_app(tagger: Tagger, choice: TagChoice) -> "FastAPI":
    """The web application.

    GET / is the page. GET /api/tags lists the model's tags with their thresholds. POST /api/tag,
    with the bytes of an image as its body, answers with the tags that the image gets;
    `?threshold=0.3` sets one threshold for all, `?limit=50` gives the likeliest so many instead.
    What a page of another site sends gets 403, too slow 408, too large 413, no readable image 415,
    wrong numbers 422; 503 is for more at once than `MAX_HELD` and `MAX_WAITING` allow.
    """
    try:
        from fastapi import FastAPI, HTTPException, Query, Request
        from fastapi.responses import HTMLResponse
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.requests import ClientDisconnect
    except ImportError:
        raise MissingExtra("fastapi", "the tagging server") from None

    app = FastAPI(title="Image tags", docs_url=None, redoc_url=None, openapi_url=None)
    # A web page elsewhere that points its own name at 127.0.0.1 gets nothing.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    page = _PAGE.read_text(encoding="utf-8")
    known = [
        {
            "name": tag.name,
            "category": category_name(tag.category),
            "threshold": round(min(float(threshold), 1.0), 5),
        }
        for tag, threshold in zip(tagger.tags, choice.thresholds, strict=True)
    ]
    model, uploads, waiting = threading.Lock(), _Uploads(), [0 for _ in LINES]
    lines = [ThreadPoolExecutor(1) for _ in LINES]  # decoding takes the most memory

    def answer(
        max_pixels: int, content: bytes, threshold: float | None, limit: int | None
    ) -> dict[str, Any]:
        image = open_image(content, min_side=tagger.min_side, max_pixels=max_pixels)
        prepared = tagger.prepare(image)
        with model:
            (found,) = tagger.probabilities([prepared])
        own = choice.given(found)
        chosen = own if threshold is None else np.flatnonzero(found >= threshold)
        if limit is not None:
            chosen = np.arange(len(found))
        order = chosen[np.argsort(-found[chosen], kind="stable")][: limit or _MOST_TAGS].tolist()
        tags = [
            known[i] | {"probability": round(float(found[i]), 5), "given": i in own} for i in order
        ]
        return {"width": image.width, "height": image.height, "tags": tags}

    async def tagged(line: int, *call: Any) -> dict[str, Any]:
        if waiting[line] >= MAX_WAITING[line]:
            raise _BusyError
        waiting[line] += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(lines[line], answer, LINES[line], *call)
        finally:
            waiting[line] -= 1

    @app.get("/", response_class=HTMLResponse)
    def show_page() -> HTMLResponse:
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        return HTMLResponse(page, headers=headers)

    @app.get("/api/tags")
    def list_tags() -> list[dict[str, Any]]:
        return [entry | {"count": tag.count} for tag, entry in zip(tagger.tags, known, strict=True)]

    async def tag_image(
        request: Request,
        threshold: float | None = Query(None, ge=0, le=1),
        limit: int | None = Query(None, ge=1, le=_MOST_TAGS),
    ) -> dict[str, Any]:
        origin = request.headers.get("origin")
        if origin is not None and origin != f"http://{request.headers['host']}":
            raise HTTPException(403, "only the page of this server may post images")
        try:
            async with uploads.body(request) as content:
                try:
                    return await tagged(0, content, threshold, limit)
                except TooLarge:
                    return await tagged(1, content, threshold, limit)
        except _BusyError:
            raise HTTPException(503, "too many images at once: try again in a moment") from None
        except (TimeoutError, ClientDisconnect):
            raise HTTPException(408, "the image did not arrive in time") from None
        except TooLarge as error:
            raise HTTPException(413, str(error)) from None
        except UnreadableImage as error:
            raise HTTPException(415, f"This is not an image that can be read: {error}") from None

    app.post("/api/tag")(tag_image)
    return app


_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class _BusyError(Exception):
    """More at once than there is room for."""


class _Uploads:
    """The bodies of requests, as far as they are in memory."""

    def __init__(self) -> None:
        self._held = 0  # bytes

    @asynccontextmanager
    async def body(self, request: Any) -> AsyncIterator[bytes]:
        """The body of a request, read no further than is allowed."""
        declared, content, size = request.headers.get("content-length", ""), bytearray(), 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    content += chunk
                    size, self._held = size + len(chunk), self._held + len(chunk)
                    if size > MAX_BYTES or (declared.isdigit() and int(declared) > MAX_BYTES):
                        raise TooLarge(f"larger than {MAX_BYTES >> 20} MB")
                    if self._held > MAX_HELD:
                        raise _BusyError
            whole = bytes(content)
            content.clear()
            yield whole
        finally:
            self._held -= size


def serve(tagger: Tagger, settings: TagImages) -> None:
    """Serve until Ctrl-C."""
    app = make_app(tagger, choose(tagger, settings))
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("uvicorn", "the tagging server") from None
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, settings.port))
            listener.listen(128)  # so that the address answers as soon as it is told
        except OSError:
            raise SettingsError(
                f"port {settings.port} is taken: set port to another, or to 0 for a free one"
            ) from None
        logger.info("Open http://%s:%d in a browser; Ctrl-C stops.", *listener.getsockname()[:2])
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listener])
