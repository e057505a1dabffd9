"""`relay health`."""


def health() -> None:
    """Not built yet."""
