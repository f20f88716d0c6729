"""The tagging server under 60 bad requests at once: peak memory, and how long a good one waits.

    python -m bench.server_memory

A server of its own, with a small random model on torch, is sent pictures of 64 megapixels in
several formats, uploads of 31 MB, bodies that come slowly, clients that hang up, and what is no
image; beside them one good image after another. Prints one line of JSON: MiB of memory at its peak
and before, seconds that a good request waited at most until it had its tags (after 503 it asks
again), the answers by status, and lines in the server's log.
"""

import http.client
import io
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
SIDE = 8000  # pixels
UPLOAD = 31 << 20  # bytes
SLOW_SECONDS = 20  # that a slow body goes on


def write_model(folder: Path) -> None:
    """A ConvNeXt of random weights with ten tags."""
    import transformers
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    from src.image_models.save import save_classifier
    from src.tagging.selected_tags import SelectedTag, write_selected_tags
    from src.tagging.thresholds import Thresholds, save_thresholds

    names = [f"tag {index}" for index in range(10)]
    base, config = folder / "base", transformers.ConvNextConfig()
    config.id2label = dict(enumerate(names))
    ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875).save_pretrained(base)
    model = transformers.ConvNextForImageClassification(config)
    save_classifier(folder / "model", model, names, base, "classifier")
    tags = [SelectedTag(index, name, 0, 1) for index, name in enumerate(names)]
    write_selected_tags(folder / "model" / "selected_tags.csv", tags)
    save_thresholds(folder / "model", Thresholds(0.5))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def bad_bodies() -> list[bytes]:
    """Pictures of 64 megapixels, uploads of 31 MB, and what is no image."""
    size, rng = (SIDE, SIDE), np.random.default_rng(0)
    grey = np.full((SIDE, SIDE), 0.5, np.float32)
    colour = Image.new("RGB", size, (9, 99, 200))
    large = [
        encoded(Image.new("RGBA", size, (9, 99, 200, 99)), "PNG", compress_level=1),
        encoded(colour, "PNG", compress_level=1),
        encoded(Image.fromarray((grey * 60_000).astype(np.uint16)), "PNG", compress_level=1),
        encoded(Image.fromarray(grey), "TIFF", compression="tiff_deflate"),
        encoded(colour, "JPEG", progressive=True, subsampling=0),
        encoded(colour.resize((5900, 5900)), "WEBP", lossless=True, method=0, quality=0),
    ]
    noise = rng.integers(0, 256, (3000, 3000, 3), np.uint8)
    full = [encoded(Image.fromarray(noise), "BMP") + bytes(UPLOAD - 27_000_054), bytes(UPLOAD)]
    broken = [large[0][:1000], b"no image", b"\x89PNG\r\n\x1a\n" + bytes(99), b"GIF89a" + bytes(50)]
    return [*large * 3, *full * 6, *broken * 3]  # 18, 12 and 12


def post(host: str, body: bytes) -> int:
    """The status of the answer; 0 where the server closed the connection."""
    connection = http.client.HTTPConnection(host, timeout=120)
    try:
        connection.request("POST", "/api/tag", body)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def unfinished(host: str, seconds: float) -> int:
    """A body that is never sent whole: slowly for so many seconds, or hung up on at once."""
    address, port = host.split(":")
    with socket.create_connection((address, int(port))) as client:
        head = f"POST /api/tag HTTP/1.1\r\nHost: {host}\r\nContent-Length: {UPLOAD}\r\n\r\n"
        client.sendall(head.encode() + bytes(1 << 20))
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                client.sendall(b"0")
                time.sleep(0.5)
        except OSError:  # the server has had enough
            pass
    return -1


def good_waits(host: str, stop: threading.Event, waits: list[float]) -> None:
    """Asks for the tags of a good image again and again, until it has them each time."""
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8))
    body = encoded(image, "JPEG")
    while not stop.is_set():
        start = time.monotonic()
        while post(host, body) != 200:
            time.sleep(0.2)
        waits.append(time.monotonic() - start)
        time.sleep(0.2)


def memory(pid: int, key: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split(f"{key}:")[1].split()[0]) // 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        log = (folder / "log").open("w+", encoding="utf-8")
        words = [f"--load_model={folder / 'model'}", "--action=serve", "--port=0", "--device=cpu"]
        server = subprocess.Popen([sys.executable, "tag_images.py", *words], cwd=ROOT, stderr=log)
        try:
            print(json.dumps(measured(server, folder / "log")))
        finally:
            server.kill()
            server.wait()
            log.close()


def measured(server: "subprocess.Popen[bytes]", log: Path) -> dict[str, object]:
    bodies = bad_bodies()
    while not (found := re.search(r"http://([\d.]+:\d+)", log.read_text("utf-8"))):
        assert server.poll() is None, log.read_text("utf-8")
        time.sleep(0.2)
    host, lines = found[1], len(log.read_text("utf-8").splitlines())
    post(host, encoded(Image.new("RGB", (300, 300)), "PNG"))
    before, waits, stop = memory(server.pid, "VmRSS"), list[float](), threading.Event()
    statuses: Counter[int] = Counter()
    calls: list[Callable[[], int]] = [partial(post, host, body) for body in bodies]
    calls += [partial(unfinished, host, seconds) for seconds in [SLOW_SECONDS] * 10 + [0] * 8]

    def count(call: Callable[[], int]) -> None:
        statuses.update([call()])

    threads = [threading.Thread(target=count, args=(call,)) for call in calls]
    asking = threading.Thread(target=good_waits, args=(host, stop, waits))
    for thread in (asking, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    asking.join()
    return {
        "bench": "server_memory",
        "bad_requests": len(calls),
        "peak_mib": memory(server.pid, "VmHWM"),
        "before_mib": before,
        "good_requests": len(waits),
        "good_waited_at_most_s": round(max(waits), 2),
        "statuses": dict(sorted(statuses.items())),
        "log_lines": len(log.read_text("utf-8").splitlines()) - lines,
    }


if __name__ == "__main__":
    main()
