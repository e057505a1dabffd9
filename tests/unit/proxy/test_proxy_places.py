"""Who is connected: counted alike by one process and by several that share."""

from __future__ import annotations

import pytest

from relay.proxy.places import OwnPlaces, SharedPlaces


def shared() -> SharedPlaces:
    places = SharedPlaces(2)
    places.take_row(1)
    return places


@pytest.mark.parametrize("make", [OwnPlaces, shared])
def test_clients_are_counted_in_and_out(make):
    places = make()
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        places.enter(address)
    assert (places.taken(), places.taken_by("192.0.2.1"), places.taken_by("192.0.2.9")) == (3, 2, 0)
    places.leave("192.0.2.1")
    places.leave("192.0.2.1")
    assert (places.taken(), places.taken_by("192.0.2.1"), places.taken_by("192.0.2.2")) == (1, 0, 1)


def test_several_processes_see_each_other():
    places = SharedPlaces(2)
    places.take_row(0)
    places.enter("192.0.2.1")
    places.take_row(1)
    places.enter("192.0.2.1")
    assert (places.taken(), places.taken_by("192.0.2.1")) == (2, 2)


def test_the_clients_of_a_process_that_died_are_gone():
    places = SharedPlaces(2)
    places.take_row(0)
    places.enter("192.0.2.1")
    places.clear_row(0)
    assert (places.taken(), places.taken_by("192.0.2.1")) == (0, 0)
