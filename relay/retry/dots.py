"""The dots of transparency (RFC 5321 section 4.5.2), of a whole message at once; pure."""

_DOT = b"\r\n."


def stuffed(message: bytes) -> bytes:
    """A message as it goes behind DATA, the final dot included."""
    end = b".\r\n" if message.endswith(b"\r\n") or not message else b"\r\n.\r\n"
    return (b"." if message.startswith(b".") else b"") + message.replace(_DOT, b"\r\n..") + end


def unstuffed(octets: bytes) -> bytes:
    """The message in what goes behind DATA; the end may be missing."""
    whole = octets[:-3] if octets == b".\r\n" or octets.endswith(b"\r\n.\r\n") else octets
    return (
        whole.removeprefix(b".").replace(b"\r\n.", b"\r\n") if whole.startswith(b".") else whole.replace(_DOT, b"\r\n")
    )
