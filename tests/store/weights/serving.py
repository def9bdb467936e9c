"""A server on this machine."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

from napari_semxai.store.weights.models import OfficialModel

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 4096


@contextmanager
def serving(
    body: bytes,
    status: int = 200,
    announced: int | None = None,
    pause: threading.Event | None = None,
) -> Iterator[str]:
    """Serve `body` at an address; with `pause` its second half waits for the event."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if announced != -1:
                self.send_header("Content-Length", str(announced or len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # the client may hang up
                self.wfile.write(body[: len(body) // 2])
                if pause is not None:
                    pause.wait(30)
                self.wfile.write(body[len(body) // 2 :])

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tiny.pt"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def entry(address: str, sha256: str | None = None) -> OfficialModel:
    return OfficialModel("tiny", "config", len(CONTENT), sha256, address)


GOOD = hashlib.sha256(CONTENT).hexdigest()
