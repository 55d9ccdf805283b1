"""Serves a fixed set of files to browsers on this machine.

A request is looked up in a table and never turned into a path: what is not in the table is not there. The server
listens on 127.0.0.1 alone, answers only under a token that the address holds (so that no other user and no other page
can guess it), and only to the name of this machine (so that no other name can be made to point to it).
"""

import mimetypes
import secrets
import shutil
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..runtime.errors import InputError, correctable

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",  # images of patients do not stay in the browser
}
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".gz": "application/gzip",
}

# Address below the token -> the file, made when it is asked for if need be.
Table = Mapping[str, Callable[[], Path]]


def given(file: Path) -> Callable[[], Path]:
    """For the table: a file that is there."""
    return lambda: file


class ViewServer(ThreadingHTTPServer):
    """Serves `table` until it is shut down. url: where a browser finds it. Raises InputError for a port in use."""

    daemon_threads = True

    def __init__(self, table: Table, port: int = 0) -> None:
        self.table, self.token = table, secrets.token_urlsafe(16)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            remedy = "Choose another one, or 0 for any that is free."
            raise InputError(f"--port {port}", "a port that is free", f"one that is not ({error})", remedy) from error

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    server_version, sys_version = "mednca_view", ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: addresses hold names of cases."""

    def _answer(self, with_content: bool) -> None:
        try:
            self._send(with_content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser went away

    def _send(self, with_content: bool) -> None:
        if self.headers.get("Host", "") not in {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}:
            return self._refuse(HTTPStatus.FORBIDDEN)
        path = unquote(urlsplit(self.path).path)
        found = self.server.table.get(path.removeprefix(f"/{self.server.token}/"))
        if found is None or not path.startswith(f"/{self.server.token}/"):
            return self._refuse(HTTPStatus.NOT_FOUND)
        try:
            file = found()
            content = file.open("rb")
        except Exception as raised:  # a file that is gone or damaged, or a package that is missing
            return self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"{correctable(raised)}\n")
        with content:
            self._begin(HTTPStatus.OK, _type_of(file), file.stat().st_size)
            if with_content:
                shutil.copyfileobj(content, self.wfile)

    def _refuse(self, status: HTTPStatus, text: str = "") -> None:
        content = (text or f"{status.phrase}\n").encode()
        self._begin(status, "text/plain; charset=utf-8", len(content))
        if self.command != "HEAD":
            self.wfile.write(content)

    def _begin(self, status: HTTPStatus, kind: str, length: int) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _type_of(file: Path) -> str:
    known = _TYPES.get(file.suffix.lower())
    return known or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
