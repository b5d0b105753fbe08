"""The origin of a server, parsed or refused; which addresses are public. Never resolves a name."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from syncd.errors import BadSyntax
from syncd.values import dataclass

_HOST = re.compile(r"[a-z0-9.:-]*[a-z0-9:]")
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_RESERVED = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("3fff::/20"),
)
"""Networks outside the public internet that some versions of Python count as global."""
_DEFAULT_PORTS = {"https": 443, "http": 80}
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".arpa", ".invalid", ".example", ".test")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a server. `str` is its URL, without a path or a final slash.

    Parsed origins are equal, as are their texts, where they name the same server: the host is in
    lower case, and the port None where it is the default of the scheme.
    """

    scheme: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}")

    @property
    def is_loopback(self) -> bool:
        """True if the text of the host is `localhost`, a name under it, or a loopback address."""
        address = _address(self.host)
        named = self.host == "localhost" or self.host.endswith(".localhost")
        return named if address is None else address.is_loopback

    @property
    def is_public(self) -> bool:
        """False for addresses and names of this machine or of private networks."""
        address = _address(self.host)
        if address is not None:
            return is_public_address(address)
        _, dot, top = self.host.rpartition(".")
        return bool(dot) and top[:1].isalpha() and not self.host.endswith(_LOCAL_NAMES)


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the address, or the IPv4 address inside it, is on the public internet."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public_address(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    is_reserved = any(address in network for network in _RESERVED)
    return address.is_global and not address.is_multicast and not is_reserved


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address inside an IPv6 address: mapped, in 6to4 or in NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def parse_origin(text: str) -> Origin:
    """Read `https://host[:port]`, or `http://` of the loopback; accept one final slash.

    Raises BadSyntax on any other scheme, and on a path, query, fragment or user.
    """
    try:
        parts = urlsplit(text)
        origin = Origin(parts.scheme, _host(parts), parts.port)
    except ValueError:
        raise _refusal(text) from None
    if text.rstrip("/").lower() != str(origin) or text.endswith("//"):
        raise _refusal(text)
    if origin.port == _DEFAULT_PORTS.get(origin.scheme):
        origin = replace(origin, port=None)
    if origin.scheme != "https" and not (origin.scheme == "http" and origin.is_loopback):
        raise BadSyntax(f"{text[:200]!r} is not secure: http:// is only for the loopback")
    return origin


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise ValueError
    return host


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refusal(text: str) -> BadSyntax:
    shown = "A URL with a user name" if "@" in text else repr(text[:200])
    return BadSyntax(f"{shown} is not an origin: it needs the form https://pds.example.com")
