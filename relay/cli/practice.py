"""`relay practice`."""


def practice() -> None:
    """Not built yet."""
