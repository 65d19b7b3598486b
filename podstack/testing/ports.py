"""A port of 127.0.0.1 that stays a test's own while nobody listens on it."""

from __future__ import annotations

import os
import socket
from weakref import finalize


def keep_port(owner: object) -> int:
    """A free port, which the system gives to nobody else for as long as `owner` lives.

    A socket holds it that does not listen, so connections are refused. Whoever names the port and
    says SO_REUSEADDR, as servers do, may listen on it, end, and listen again; without the socket,
    another server that asks for any port could have it by then.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        finalize(owner, os.close, holder.detach())
    return port
