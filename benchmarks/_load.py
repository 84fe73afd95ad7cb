"""A load generator that costs little: pipelined requests whose answers all have one length, counted in bytes."""

import selectors
import socket
import time

CONNECTIONS = 8
DEPTH = 16
"""Requests in flight on each connection."""


def request_bytes(path: str, headers: dict[str, str]) -> bytes:
    """One GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def answer(port: int, request: bytes) -> bytes:
    """The whole answer to one request. Raises ValueError when it is neither a 200 with a length nor a 304."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        lengths = [
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ]
        if status not in {200, 304} or (status == 200 and not lengths):
            message = f"unexpected answer: {head.decode(errors='replace')[:400]}"
            raise ValueError(message)
        wanted = lengths[0] if status == 200 else 0
        while len(body) < wanted:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


def rate(port: int, request: bytes, *, requests: int) -> float:
    """Answered requests per second, over CONNECTIONS connections with DEPTH requests in flight on each."""
    length = len(answer(port, request))
    selector = selectors.DefaultSelector()
    per_connection = max(DEPTH, requests // CONNECTIONS // DEPTH * DEPTH)
    state: dict[socket.socket, list[int]] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, connection)
        state[connection] = [0, 0]
    began = time.perf_counter()
    for connection, counters in state.items():
        connection.sendall(request * DEPTH)
        counters[0] = DEPTH
    open_connections = CONNECTIONS
    while open_connections:
        for key, _ in selector.select(timeout=30):
            connection = key.data
            chunk = connection.recv(1 << 18)
            if not chunk:
                message = "the server closed a connection in the middle"
                raise ConnectionError(message)
            counters = state[connection]
            counters[1] += len(chunk)
            if counters[1] >= per_connection * length:
                selector.unregister(connection)
                connection.close()
                open_connections -= 1
            else:
                due = min(per_connection, counters[1] // length + DEPTH) - counters[0]
                if due >= DEPTH // 2 or (due and counters[0] + due == per_connection):
                    connection.sendall(request * due)
                    counters[0] += due
    return per_connection * CONNECTIONS / (time.perf_counter() - began)
