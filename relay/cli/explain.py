"""`relay explain`."""


def explain() -> None:
    """Not built yet."""
