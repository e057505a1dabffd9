"""From a failed reply to words a person can act on: a Failure is looked up in the Book, the Explanation is rendered.

Pure: no clock, no chance, no outside world but the chapters that `Book.read` reads once.
"""

from relay.explain.book import Book
from relay.explain.chapter import BookError
from relay.explain.failure import Failure
from relay.explain.page import Explanation, Page, When
from relay.explain.reason import Reason, Retry, Who
from relay.explain.render import Style, render, render_lines
from relay.explain.shelf import shipped_chapters

__all__ = [
    "Book",
    "BookError",
    "Explanation",
    "Failure",
    "Page",
    "Reason",
    "Retry",
    "Style",
    "When",
    "Who",
    "render",
    "render_lines",
    "shipped_chapters",
]
