"""The tagging server under many requests, without a network."""

import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image

from src.tagging.choice import TagChoice
from src.tagging.selected_tags import SelectedTag
from src.tagging.server import app as server
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


@pytest.fixture
def post():
    """Posts to a server whose model is slow."""
    app = server.make_app(tagger := Slow(), TagChoice(np.array([0.5]), np.array([True])))

    async def send(content: object) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.post("/api/tag", content=content)).status_code

    return tagger, send


def png():
    content = io.BytesIO()
    Image.new("RGB", (9, 9)).save(content, "PNG")
    return content.getvalue()


def test_more_images_than_wait_at_once_are_sent_away_and_later_ones_answered(post):
    tagger, send = post
    most = server.MAX_WAITING[0]

    async def scenario() -> tuple[list[int], int]:
        waiting = [asyncio.create_task(send(png())) for _ in range(most + 5)]
        sent_away = [await done for done in asyncio.as_completed(waiting[-5:])]
        tagger.may.set()
        return sent_away + list(await asyncio.gather(*waiting[:-5])), await send(png())

    codes, later = asyncio.run(scenario())
    assert sorted(codes) == [200] * most + [503] * 5 and later == 200


def test_slow_bodies_and_more_bytes_than_are_held_at_once_are_sent_away(post, monkeypatch):
    tagger, send = post
    tagger.may.set()
    monkeypatch.setattr(server, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(server, "MAX_HELD", 1000)

    async def slow(size):
        yield bytes(size)
        await asyncio.sleep(5)

    async def scenario() -> list[int]:
        first = [asyncio.create_task(send(slow(size))) for size in (600, 600)]
        return [*await asyncio.gather(*first), await send(png())]

    assert sorted(asyncio.run(scenario())) == [200, 408, 503]


def test_the_answer_says_which_tags_the_image_gets():
    class Model(Slow):
        tags = tuple(SelectedTag(i, f"tag {i}", 0, 1) for i in range(4))

        def probabilities(self, prepared):
            return np.array([[0.2, 0.6, 0.7, 0.4]], np.float32)

    first_two = (np.array([0, 1]),)  # of which the likelier one is given
    choice = TagChoice(np.array([0.1, 0.9, 0.9, 0.3]), np.ones(4, bool), one_of=first_two)
    app = server.make_app(Model(), choice)

    async def ask(query: str) -> list[tuple[str, bool]]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = (await client.post(f"/api/tag{query}", content=png())).json()
        return [(tag["name"], tag["given"]) for tag in answer["tags"]]

    assert asyncio.run(ask("")) == [("tag 1", True), ("tag 3", True)]
    assert asyncio.run(ask("?threshold=0.65")) == [("tag 2", False)]
    assert asyncio.run(ask("?limit=3")) == [("tag 2", False), ("tag 1", True), ("tag 3", True)]
