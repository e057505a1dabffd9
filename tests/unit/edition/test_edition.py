"""The book for readers: whole, in each language, and safe whatever a page holds."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.explain import Book, shipped_chapters
from relay.languages import LANGUAGES

IDS = [page.id for page in Book.read(shipped_chapters()).pages]
HOSTILE = """# Mine & <others>: a chapter
- id: house-x
  reason: filtered
  title: "<script>alert(1)</script> & {recipient}"
  when: {text: ["</script><img src=x>"]}
  meaning: See https://b.test/?a=1&b=<2> for "more".
  advice: Ask.
  more: "' onload='x"
  examples: ["[phase=rcpt] 550 </script><img src=x onerror=alert(1)>"]
"""


def run(*arguments):
    return CliRunner().invoke(app, ["book", *map(str, arguments)])


@pytest.fixture(scope="module", params=LANGUAGES)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("html") / "book"
    result = run("--html", folder, "--language", request.param)
    assert result.exit_code == 0, result.output
    return folder


class Seen(HTMLParser):
    """Elements and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]


def test_each_page_of_the_book_is_there_and_each_link_leads_somewhere(folder):
    assert {file.stem for file in (folder / "page").iterdir()} == set(IDS)
    for file in (folder / "index.html", *(folder / "page").iterdir()):
        for link in Seen(file.read_text("utf-8")).links:
            assert link.startswith("https://") or (file.parent / link).is_file(), (file, link)
    assert len(Seen((folder / "index.html").read_text("utf-8")).links) == len(IDS)


def test_nothing_comes_from_elsewhere_and_only_what_the_policy_names_may_run(folder):
    for file in (folder / "index.html", folder / "page" / "anything-else.html"):
        text = file.read_text("utf-8")
        assert not {"img", "link", "iframe", "object"} & set(Seen(text).tags)
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
        assert "default-src 'none'" in unescape(policy) and "unsafe" not in policy
        for inline in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", text, re.DOTALL):
            assert b64encode(sha256(inline.encode()).digest()).decode() in unescape(policy)


def test_a_page_that_holds_markup_does_no_harm(tmp_path):
    (tmp_path / "00-house.yaml").write_text(HOSTILE, "utf-8")
    assert run("--html", tmp_path / "out", "--house", tmp_path / "00-house.yaml").exit_code == 0
    contents = (tmp_path / "out" / "index.html").read_text("utf-8")
    page = (tmp_path / "out" / "page" / "house-x.html").read_text("utf-8")
    assert contents.count("<script") == 2 and "<img" not in contents + page and "<script" not in page
    assert "Mine &amp; &lt;others&gt;</h3>" in contents
    (index,) = re.findall(r'<script type="application/json" id="index">(.*?)</script>', contents)
    assert "</script><img src=x onerror=alert(1)>" in json.loads(index)["house-x"]
    assert '<a href="https://b.test/?a=1&amp;b=" rel="noreferrer">' in page
    assert " onload='x" not in page


def test_an_id_that_could_leave_the_folder_is_refused(tmp_path):
    (tmp_path / "00-house.yaml").write_text(HOSTILE.replace("house-x", "../../x"), "utf-8")
    result = run("--html", tmp_path / "out", "--house", tmp_path / "00-house.yaml")
    assert result.exit_code == 2 and "'../../x'" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_book_as_text(language):
    told = run("--language", language).output
    assert all(f" {page}," in told for page in IDS)
    assert max(map(len, told.splitlines())) < 200


def test_single_pages_by_their_ids():
    told = run("mailbox-unavailable", "address-rejected", "--language", "de").output
    assert "Das Postfach von diesem Empfänger ist nicht verfügbar" in told
    assert "Am Zug: Sie selbst\n" in told and "  550 5.1.0 Address rejected.\n" in told
    result = run("address-rejecte")
    assert result.exit_code == 2 and '"address-rejected"' in result.stderr
