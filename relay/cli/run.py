"""`relay run`."""


def run() -> None:
    """Not built yet."""
