"""Proofs of the shipped pages: what a writer must keep to. Run them alone, in seconds, with `make book`."""

from __future__ import annotations

import re

import pytest

from relay.explain import Book, Failure, Style, render, shipped_chapters
from relay.explain.heard import example
from relay.explain.proofs import form, unreachable
from relay.smtp import Fault, Phase, reply_for

BOOK = Book.read(shipped_chapters())
EXAMPLES = [(page.id, written) for page in BOOK.pages if not page.retired for written in page.examples]
IDS = shipped_chapters() / "ids.txt"
LINE = re.compile(rb"([2-5]\d\d|0\d\d|1\d\d)([ -])[\x20-\x7e]*\Z")


@pytest.mark.parametrize(("page_id", "written"), EXAMPLES)
def test_each_example_is_explained_by_its_own_page(page_id, written):
    found = BOOK.explain(example(written)).id
    assert found == page_id, (
        f"{written!r} is explained by {found}, an earlier page; give it a not_text, or move one of the two"
    )


def test_ids_are_a_promise():
    kept = set(IDS.read_text("utf-8").split())
    ids = {page.id for page in BOOK.pages}
    assert kept <= ids, f"pages are never removed or renamed; bring back {sorted(kept - ids)} with 'retired: why'"
    assert ids <= kept, f"new pages: add these lines to config/explanations/ids.txt: {sorted(ids - kept)}"


@pytest.mark.parametrize("page", BOOK.pages, ids=lambda page: page.id)
def test_a_page_keeps_to_the_form(page):
    assert not list(form(page))


def test_every_page_can_be_reached():
    assert not list(unreachable(BOOK))


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("page", BOOK.pages, ids=lambda page: page.id)
def test_each_page_makes_a_well_formed_reply(page, style):
    failures = [example(written) for written in page.examples]
    phases = page.when.phase or (Phase.RCPT,)
    failures += [
        Failure(reply_for(fault, phases[0], "mx.example.net:25"), "mx.example.net:25") for fault in page.when.fault
    ]
    for failure in failures:
        explanation = BOOK.explain(failure)
        assert explanation.id == page.id
        wire = render(explanation, style=style, ref="7K3QF2")
        lines = wire.split(b"\r\n")
        assert lines.pop() == b""
        assert all(LINE.match(line) and len(line) <= 510 for line in lines)
        assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
        assert len(wire) <= 1_000 and len(lines) <= 12
        assert not lines[-1].endswith(b".")


@pytest.mark.parametrize("phase", [None, *Phase])
@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_has_its_page(fault, phase):
    failure = Failure(reply_for(fault, phase, "mx.example.net:25"), "mx.example.net:25")
    assert fault in BOOK.explain(failure).page.when.fault


CODES = [
    "211",
    "214",
    "220",
    "221",
    "235",
    "250",
    "251",
    "252",
    "334",
    "354",
    "421",
    "450",
    "451",
    "452",
    "500",
    "501",
    "502",
    "503",
    "504",
    "550",
    "551",
    "552",
    "553",
    "554",
    "432",
    "435",
    "454",
    "455",
    "458",
    "459",
    "521",
    "523",
    "525",
    "530",
    "534",
    "535",
    "538",
    "541",
    "555",
    "556",
    "420",
    "422",
    "431",
    "441",
    "442",
    "446",
    "447",
    "449",
    "471",
    "510",
    "511",
    "512",
    "513",
    "515",
    "517",
    "520",
    "524",
    "526",
    "540",
]
REGISTRY = {1: range(11), 2: range(5), 3: range(7), 4: range(8), 5: range(7), 6: range(12), 7: range(31)}
STATUSES = [f"5.{subject}.{detail}" for subject, details in REGISTRY.items() for detail in details] + ["5.0.0"]


@pytest.mark.parametrize("code", CODES)
def test_each_basic_code_has_a_page_that_names_it(code):
    assert str(code) in BOOK.explain(example(str(code))).page.when.code


@pytest.mark.parametrize("status", STATUSES)
def test_each_enhanced_code_of_the_registry_has_a_page_that_names_it(status):
    forms = {status, "x" + status[1:], "2" + status[1:]}
    found = BOOK.explain(example(f"550 {status} 0x1f")).page
    assert forms & set(found.when.status), found.id


@pytest.mark.parametrize("code", [*range(100, 600)])
def test_no_code_is_left_unexplained(code):
    assert BOOK.explain(example(str(code))).id != "anything-else"
