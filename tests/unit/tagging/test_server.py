"""The tagging server under many requests, without a network."""

import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image

from src.tagging.selected_tags import SelectedTag
from src.tagging.server.app import MAX_UPLOADS, make_app
from src.tagging.thresholds import Thresholds

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")


class Slow:
    """A model that answers once it may."""

    tags = (SelectedTag(0, "red", 0, 1),)
    thresholds = Thresholds(0.5)
    identity = "slow"
    min_side = None

    def __init__(self):
        self.may = threading.Event()

    def prepare(self, image):
        return image

    def probabilities(self, prepared):
        self.may.wait(20)
        return np.ones((1, 1), np.float32)


def test_more_images_than_are_held_at_once_are_sent_away_and_later_ones_answered():
    tagger = Slow()
    app = make_app(tagger, "global")
    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, "PNG")

    async def post() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.post("/api/tag", content=content.getvalue())).status_code

    async def scenario() -> tuple[list[int], int]:
        waiting = [asyncio.create_task(post()) for _ in range(MAX_UPLOADS + 5)]
        sent_away = [await done for done in asyncio.as_completed(waiting[-5:])]
        tagger.may.set()
        return sent_away + list(await asyncio.gather(*waiting[:-5])), await post()

    codes, later = asyncio.run(scenario())
    assert sorted(codes) == [200] * MAX_UPLOADS + [503] * 5 and later == 200
