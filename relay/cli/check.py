"""`relay check`."""


def check() -> None:
    """Not built yet."""
