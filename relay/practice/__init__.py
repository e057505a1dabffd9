"""The practice upstream: a mail server on loopback that refuses by name, in the words of many providers.

Mail to `mailbox-full@gmail.example` is refused as Google would do it; mail to any address that names no scenario is
accepted and discarded. So a newcomer, and the developers of an application, see every explanation before production.
Who names the scenario depends on the step that is to fail:

- RCPT: the recipient. DATA, and the verdict after the final dot: the recipient, or the sender.
- MAIL: the sender.
- CONNECT and EHLO: the sender too. Both come before any address, so the connection that names one is closed without
  an answer, and the next connection is refused; a relay opens that one at once, and its client sees the refusal.
- AUTH: the user name; every other user name is let in with every password.

The local part names the scenario, the domain the provider; with any other domain the first of that name is played.
It is made of aiosmtpd, and speaks to the relay like any other upstream. It stands beside `relay.proxy`.
"""

from relay.practice.server import PracticeServer, start

__all__ = ["PracticeServer", "start"]
