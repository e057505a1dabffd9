"""`relay try`."""


def trial() -> None:
    """Not built yet."""
