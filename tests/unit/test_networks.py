"""Where an address lies."""

from __future__ import annotations

import ipaddress

import pytest

from relay.networks import home, is_loopback, leads_to, within, written


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost", "LOCALHOST", "localhost."]
)
def test_this_machine(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "mail.example.com", "localhost.example.com",
             "127.0.0.1.example.com", "", "fe80::1%lo"]
)  # fmt: skip
def test_not_this_machine(host: str):
    assert not is_loopback(host)


_NETWORKS = (
    ipaddress.ip_network("10.1.0.0/16"),
    ipaddress.ip_network("2001:db8::/32"),
    ipaddress.ip_network("fe80::/10"),
)


@pytest.mark.parametrize("host", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "fe80::1%eth0"])
def test_within_one_of_the_networks(host: str):
    assert within(host, _NETWORKS)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("::ffff:a01:203", "10.1.2.3"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_an_address_is_written_as_what_it_is(address: str, same: str):
    assert written(address) == same


def test_a_network_of_64_bits_is_one_home():
    assert home("2001:db8:1:2::7") == home("2001:db8:1:2:3:4:5:6") != home("2001:db8:1:3::7")
    assert home("10.1.2.3") != home("10.1.2.4")
    assert home("::ffff:10.1.2.3") != home("::ffff:10.1.2.4")
    assert home("") == ""


@pytest.mark.parametrize("host", ["10.2.0.1", "2001:db9::5", "mail.example.com", ""])
def test_within_none(host: str):
    assert not within(host, _NETWORKS)


def test_no_networks_hold_nobody():
    assert not within("10.1.2.3", ())


@pytest.mark.parametrize(
    ("host", "bound", "arrives"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.2", "0.0.0.0", True),
        ("::1", "::", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("localhost", "127.0.0.2", False),
        ("127.0.0.1", "::", False),  # which is bound for IPv6 alone
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("localhost", "relay.example", False),
        ("mail.example.com", "0.0.0.0", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("relay.example", "Relay.example", True),
    ],
)
def test_whether_a_connection_arrives_at_a_socket_of_this_machine(host: str, bound: str, *, arrives: bool):
    assert leads_to(host, bound) is arrives
