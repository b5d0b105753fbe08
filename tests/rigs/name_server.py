"""A DNS server on the loopback, for the resolver of this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import pytest


@contextmanager
def name_server(patch: pytest.MonkeyPatch, txt: Mapping[str, list[str]]) -> Iterator[None]:
    """Answer questions for TXT records from `txt`, by name; there is no other name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], listening.getsockname()[1]
        patch.setattr(dns.asyncresolver, "default_resolver", resolver)
        thread = Thread(target=_serve, args=(listening, txt), daemon=True)
        thread.start()
        yield
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as farewell:
            farewell.sendto(b"", listening.getsockname())
        thread.join()


def _serve(listening: socket.socket, txt: Mapping[str, list[str]]) -> None:
    while True:
        data, client = listening.recvfrom(4096)
        if not data:
            return
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text(omit_final_dot=True)
        reply = dns.message.make_response(query)
        if name not in txt:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif txt[name]:
            records = (f'"{text}"' for text in txt[name])
            reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", *records))
        listening.sendto(reply.to_wire(), client)
