"""Every fault has its wording, and no fault of ours or of the network is permanent."""

from __future__ import annotations

import pytest

from relay.smtp import Fault, Phase, reply_for

_PERMANENT = {
    Fault.NOT_ALLOWED, Fault.LOGIN_REQUIRED, Fault.LOGIN_NOT_ALLOWED, Fault.TLS_REQUIRED, Fault.AUTH_UNAVAILABLE,
    Fault.AUTH_MECHANISM, Fault.MESSAGE_TOO_BIG, Fault.BARE_NEWLINE, Fault.NUL, Fault.LINE_TOO_LONG,
    Fault.UNKNOWN_COMMAND, Fault.NOT_IMPLEMENTED, Fault.SYNTAX, Fault.BAD_SEQUENCE, Fault.NO_RECIPIENTS,
    Fault.UTF8_NOT_DECLARED,
}  # fmt: skip


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_reply_that_is_well_formed(fault: Fault):
    reply = reply_for(fault, Phase.MAIL, "mail.test:25")
    assert reply.fault is fault
    assert reply.status is not None
    assert reply.status[0] == str(reply.code)[0]
    assert len(reply.text) > 10
    assert "{" not in reply.text


@pytest.mark.parametrize("fault", Fault)
def test_only_what_the_client_itself_did_is_permanent(fault: Fault):
    assert (reply_for(fault, None).code >= 500) == (fault in _PERMANENT)
    assert fault.ours or fault not in _PERMANENT


@pytest.mark.parametrize("fault", Fault)
def test_only_421_closes(fault: Fault):
    reply = reply_for(fault, None, closing=True)
    assert reply.code == 421
    assert reply.status is not None and reply.status[0] == "4"


def test_a_detail_replaces_the_general_words():
    assert reply_for(Fault.GARBLED, None, "x", "mail.test sent {nonsense}").lines == (
        b"4.5.0 mail.test sent {nonsense}",
    )


def test_an_unnamed_upstream_is_still_called_something():
    assert reply_for(Fault.REFUSED, None).text == "the upstream refused the connection"
