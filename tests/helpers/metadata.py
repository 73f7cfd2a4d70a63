"""An instance metadata service (AWS, version 2) for tests.

Alone: python tests/helpers/metadata.py PORT.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

TOKEN = "token-of-the-metadata-service"


class Metadata(BaseHTTPRequestHandler):
    """Answers with ``content``, by path below meta-data/, to requests that bring the token."""

    content: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []
    failures: ClassVar[int] = 0

    def do_PUT(self) -> None:
        if type(self).failures:
            type(self).failures -= 1
            return self.send_error(500)
        wanted = self.path == "/latest/api/token"
        given = "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
        return self.answer(TOKEN) if wanted and given else self.send_error(400)

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            return self.send_error(401)
        path = self.path.removeprefix("/latest/meta-data/")
        self.asked.append(path)
        text = self.content.get(path)
        return self.send_error(404) if text is None else self.answer(text)

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words: object) -> None:
        pass


@contextlib.contextmanager
def metadata_service(port: int = 0) -> Iterator[tuple[str, type[Metadata]]]:
    """Run a service of its own on loopback; yield its base address and what it answers."""
    service = type("Service", (Metadata,), {"content": {}, "asked": [], "failures": 0})
    server = ThreadingHTTPServer(("127.0.0.1", port), service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def notice(time: str, action: str = "terminate") -> str:
    """Return what spot/instance-action says ahead of a preemption."""
    return f'{{"action": "{action}", "time": "{time}"}}'


if (
    __name__ == "__main__"
):  # reads PATH VALUE lines: "local-ipv4 10.0.0.1", "spot/instance-action {...}"
    with metadata_service(int(sys.argv[1])) as (_, running):
        for line in sys.stdin:
            name, _, value = line.strip().partition(" ")
            running.content[name] = value
