"""The book in a real browser, opened from a folder: its search finds, and its policy lets nothing else run."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .programs import program

if TYPE_CHECKING:
    from pathlib import Path

PAGES = re.compile(r'<li data-id="([^"]+)"([^>]*)>')


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    subprocess.run([sys.executable, "-m", "relay", "book", "--html", folder, "--language", "de"], check=True)
    return folder


def shown(address: str, profile: Path) -> str:
    """What the browser has made of a page; it must have had nothing to complain of."""
    command = [
        program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--enable-logging=stderr", f"--user-data-dir={profile}", "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def found(dom: str) -> set[str]:
    return {page for page, attributes in PAGES.findall(dom) if "hidden" not in attributes}


def test_the_search_finds_all_words_in_any_order(book: Path, tmp_path: Path):
    dom = shown(f"{book.as_uri()}/index.html#REJECTED%205.1.0%20Address", tmp_path)
    assert "address-rejected" in found(dom)
    assert 0 < len(found(dom)) < len(PAGES.findall(dom)) // 10
    assert f"{len(found(dom))} von {len(PAGES.findall(dom))} Seiten" in dom


def test_accents_may_be_left_out(book: Path, tmp_path: Path):
    assert "mailbox-unavailable" in found(shown(f"{book.as_uri()}/index.html#verfugbar", tmp_path))


def test_without_a_search_all_is_listed_and_with_a_wrong_one_nothing(book: Path, tmp_path: Path):
    every = shown(f"{book.as_uri()}/index.html", tmp_path)
    assert len(found(every)) == len(list((book / "page").iterdir()))
    assert not found(shown(f"{book.as_uri()}/index.html#qzxj", tmp_path))


def test_a_page_opens_without_complaint(book: Path, tmp_path: Path):
    assert "<h2>Was Sie tun können</h2>" in shown(f"{book.as_uri()}/page/address-rejected.html", tmp_path)
