"""The server gives what is in its table to a browser on this machine that knows the token, and nothing else."""

import http.client
import socket
import threading
from contextlib import contextmanager

import pytest

from mednca_pipeline.runtime.errors import InputError
from mednca_pipeline.viewing.server import HOST, ViewServer, given


@pytest.fixture
def served(tmp_path):
    """A server of two files, beside which a secret lies."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<p>page</p>")
    (folder / "assets" / "a.wasm").write_bytes(b"\0asm")

    def fails():
        raise InputError("image.dcm", "a readable image", "a damaged one")

    table = {"": given(folder / "index.html"), "assets/a.wasm": given(folder / "assets" / "a.wasm"), "broken": fails}
    with running(ViewServer(table | {"gone": given(folder / "gone")})) as server:
        yield server


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(server, path, method="GET", **headers):
    """(status, headers, content) of the answer to a path that is sent exactly as it is."""
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_gives_the_files_of_its_table_with_their_types(served):
    status, headers, content = ask(served, f"/{served.token}/")
    assert (status, content, headers["Content-Type"]) == (200, b"<p>page</p>", "text/html")
    status, headers, content = ask(served, f"/{served.token}/assets/a.wasm?x=1")
    assert (status, content, headers["Content-Type"]) == (200, b"\0asm", "application/wasm")
    status, headers, content = ask(served, f"/{served.token}/assets/a.wasm", "HEAD")
    assert (status, content, headers["Content-Length"]) == (200, b"", "4")


@pytest.mark.parametrize("path", ["", "assets/a.wasm", "nothing"])
def test_every_answer_sets_a_content_security_policy_and_is_not_kept(served, path):
    headers = ask(served, f"/{served.token}/{path}")[1]
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert "unsafe-inline" not in headers["Content-Security-Policy"] and "'unsafe-eval'" not in policy["script-src"]
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "assets/../../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "..\\secret.txt",
        "assets",
        "assets/",
        "assets/a.wasm/",
        "/etc/passwd",
        "//etc/passwd",
        "assets/a.wasm%00.html",
        "index.html",
    ],
)
def test_what_is_not_in_the_table_is_not_there(served, path):
    status, _, content = ask(served, f"/{served.token}/{path}")
    assert status == 404 and content == b"Not Found\n"


@pytest.mark.parametrize("path", ["/", "/session.json", "/wrong/", "/wrong/assets/a.wasm", "/../secret.txt", "/{}"])
def test_nothing_is_there_without_the_token(served, path):
    assert ask(served, path.format(served.token))[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{}", "127.0.0.1", "", "127.0.0.1:1"])
def test_another_name_of_the_machine_is_refused(served, host):
    assert ask(served, f"/{served.token}/", Host=host.format(served.server_port))[0] == 403


def test_its_own_names_are_taken(served):
    for name in ("127.0.0.1", "localhost"):
        assert ask(served, f"/{served.token}/", Host=f"{name}:{served.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_only_reading_is_possible(served, method):
    assert ask(served, f"/{served.token}/", method)[0] == 501


def test_a_file_that_cannot_be_made_or_is_gone_is_an_error_with_its_reason(served):
    status, _, content = ask(served, f"/{served.token}/broken")
    assert status == 500 and b"image.dcm: expected a readable image" in content
    assert ask(served, f"/{served.token}/gone")[0] == 500


def test_listens_on_loopback_alone(served):
    assert served.server_address[0] == "127.0.0.1"
    assert served.url == f"http://127.0.0.1:{served.server_port}/{served.token}/"
    addresses = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(OSError):
            socket.create_connection((address, served.server_port), timeout=1)


def test_tokens_cannot_be_guessed():
    with ViewServer({}) as one, ViewServer({}) as other:
        assert one.token != other.token and len(one.token) >= 20


def test_a_port_in_use_is_refused(served):
    with pytest.raises(InputError, match=f"--port {served.server_port}: expected a port that is free"):
        ViewServer({}, served.server_port)
