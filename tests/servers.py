"""Real servers for tests: they listen on the loopback, keep what they received and answer what the test wants."""

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Received:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None  # the answer comes when it is set


@dataclass
class HttpServer:
    """Answers with `answers` in turn, the last one for ever; or as `choose` says."""

    url: str
    answers: list[Answer]
    choose: Callable[[Received], Answer] | None = None
    received: list[Received] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)  # common names of the client certificates shown

    def next_answer(self, request: Received) -> Answer:
        self.received.append(request)
        if self.choose is not None:
            return self.choose(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def http_server(
    *answers: Answer, choose: Callable[[Received], Answer] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[HttpServer]:
    server = HttpServer(url="", answers=list(answers) or [Answer()], choose=choose)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.peers += _common_names(self.connection)
            size = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.next_answer(Received(self.command, self.path, headers, self.rfile.read(size)))
            if answer.hang is not None:
                answer.hang.wait(timeout=30)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    with _serving(listener) as port:
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        yield server


def _common_names(connection: Any) -> list[str]:
    """Common name of the client's certificate, if it showed one."""
    shown: dict[str, Any] = (connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None) or {}
    return [part[0][1] for part in shown.get("subject", ()) if part[0][0] == "commonName"]


@contextmanager
def raw_server(answer: Callable[[Callable[[bytes], bool]], Any]) -> Iterator[str]:
    """Reads the head of a request and lets `answer` send any bytes; its `send` is false once the client is gone."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            answer(self._send)

        def _send(self, content: bytes) -> bool:
            try:
                self.wfile.write(content)
            except OSError:
                return False
            return True

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


@dataclass
class SmtpServer:
    host: str
    port: int
    reply: Callable[[str], str | None]
    messages: list[str] = field(default_factory=list)


@contextmanager
def smtp_server(reply: Callable[[str], str | None] = lambda command: None) -> Iterator[SmtpServer]:
    """Takes mail. `reply` may answer a command line itself; None leaves it to the server."""
    server = SmtpServer("127.0.0.1", 0, reply)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 test")
            for raw in self.rfile:
                line = raw.decode().rstrip("\r\n")
                custom = server.reply(line)
                if custom is not None:
                    self._say(custom)
                elif line.upper() == "DATA":
                    self._say("354 go on")
                    server.messages.append(self._data())
                    self._say("250 taken")
                elif line.upper() == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _data(self) -> str:
            lines = []
            for raw in self.rfile:
                if raw == b".\r\n":
                    break
                lines.append(raw.decode())
            return "".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        server.port = port
        yield server


@contextmanager
def _serving(server: socketserver.ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[int]:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
