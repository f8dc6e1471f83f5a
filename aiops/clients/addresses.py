"""Whereto the platform may connect: the one guard for every address that people type in.

A name is checked twice: when it is typed in (`check_url`), and, because a name may resolve to something else a minute
later, when the connection stands (`refusal` on the peer, before anything is sent).
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from django.conf import settings

from aiops.clients.errors import ClientRefused, ClientUnavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# where clouds hand out credentials to whoever asks from inside; link-local ones are refused as such
METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(ClientRefused):
    """The address is one that we do not connect to."""


def allow_private() -> bool:
    return bool(settings.AIOPS_ALLOW_PRIVATE_ADDRESSES)


def refusal(address: str) -> str:
    """Why we do not connect to this IP address; empty when we do.

    Link-local, metadata, multicast and unspecified addresses are never right. Loopback and private ones are where
    clusters of one's own live, and also where an attacker would point us at: the setting decides (X9.14).
    """
    try:
        ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return f"{address} is no IP address"
    if ip.is_link_local or ip in METADATA:
        return f"{ip} is a link-local or metadata address"
    if ip.is_multicast or ip.is_unspecified:
        return f"{ip} is no address of a server"
    if not ip.is_global and not allow_private():
        return f"{ip} is a loopback or private address, and AIOPS_ALLOW_PRIVATE_ADDRESSES is not set"
    return ""


def _unwrapped(ip: Address) -> Address:
    """The IPv4 address inside an IPv6 one: ::ffff:127.0.0.1 is the loopback, whatever it looks like."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour
    if inner is None and ip in _NAT64:
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return inner or ip


def check_url(url: str, *, schemes: tuple[str, ...] = ("https",)) -> None:
    """Check scheme, form and every address the host resolves to.

    Raises `AddressRefused` when we must not go there, `ClientUnavailable` when the name does not resolve.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("It is no valid URL") from error
    if parts.scheme not in schemes:
        raise AddressRefused(f"The URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not parts.hostname:
        raise AddressRefused("The URL names no host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The URL must not carry credentials")
    for address in resolve(parts.hostname, port or (443 if parts.scheme == "https" else 80)):
        if reason := refusal(address):
            raise AddressRefused(f"{parts.hostname} is refused: {reason}")


def resolve(host: str, port: int) -> list[str]:
    """The addresses of `host`. Raises `ClientUnavailable` when there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ClientUnavailable(f"The name {host} cannot be resolved", reason="dns") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
