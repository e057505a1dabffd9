"""The good replies that the relay gives by itself, without asking the upstream."""

from relay.smtp import Phase, Reply

OK = Reply(None, 250, (b"2.0.0 OK",))
BYE = Reply(None, 221, (b"2.0.0 Bye",))
CANNOT_VERIFY = Reply(None, 252, (b"2.0.0 Cannot verify the address here, but will pass on a message for it",))
HELP = Reply(
    None,
    214,
    (
        b"2.0.0 This relay passes mail on and explains refusals. It serves:",
        b"2.0.0 EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
    ),
)
READY_FOR_TLS = Reply(Phase.STARTTLS, 220, (b"2.0.0 Ready to start TLS",))
LOGIN_TAKEN = Reply(Phase.AUTH, 235, (b"2.7.0 Authentication accepted",))
