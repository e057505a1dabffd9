"""Replies that differ only in what changes from mail to mail have one form, and the page made of it finds them."""

from __future__ import annotations

import pytest

from relay.explain import Book, Failure
from relay.explain.chapter import read_chapter
from relay.explain.form import Form
from relay.explain.heard import example, reply_from
from relay.explain.unexplained import unexplained
from relay.smtp import Phase

LAST = read_chapter("99.yaml", "- {id: last, reason: undefined, title: T, meaning: M., advice: A.}")[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<bob@b.test>: Rule 17 says no", "<anna@c.test>: Rule 4 says no"),
        ("<***@b.test> not wanted", "<anna@c.test> not wanted"),
        ("Go away, 192.0.2.7 [DB5EUR01FT034]", "Go away, 2001:db8::17:4 [AM6EUR05FT011]"),
        ("See https://b.test/a?id=7 for policy", "See http://c.test/ for policy".replace("http:", "https:")),
        ("mx1.b.test does not like mx.c.test", "a.b.d.test does not like e.test"),
        ("Bounced 4fb4d7f45d1cf-5b2 - xyz", "Bounced ffacd0b85a97d - xyz"),
    ],
)
def test_one_form(one, other):
    assert str(Form.of(one)) == str(Form.of(other))


@pytest.mark.parametrize(("one", "other"), [("No such rule", "No such law"), ("Rule 17", "17 rules")])
def test_two_forms(one, other):
    assert str(Form.of(one)) != str(Form.of(other))


@pytest.mark.parametrize(
    "words",
    [
        "<bob@b.test>: Rule (17) of [x] says: 'no' \\ {really}? $5 + 5* ^",
        "mx1.b.test: it's “quoted”, isn't it: #yes | no",
        "5 times " + "a long sentence that goes on, and on; " * 20,
        "您好 bob@b.test 我們",
        "Session 192.0.2.7 at 2001:db8::1 refused by policy: - ! & * % @ `",
    ],
)
@pytest.mark.parametrize("phase", [Phase.RCPT, Phase.AUTH, None])
def test_the_page_made_of_a_form_passes_the_reader_when_filled_and_finds_its_replies(words, phase):
    failure = Failure(reply_from(f"550 5.7.1 {words}", phase))
    (group,) = unexplained(Book(LAST), [failure, failure])
    assert (group.count, group.page) == (2, "last")
    filled = group.skeleton.replace('""', '"Words."').replace("house-550-", "house-550-rule")
    pages, problems = read_chapter("10.yaml", filled)
    assert not problems
    book = Book([*pages, *LAST])
    assert book.explain(failure).id == "house-550-rule"
    assert [book.explain(example(written)).id for written in pages[0].examples] == ["house-550-rule"]
    assert "bob" not in group.skeleton


def test_an_unfilled_page_is_refused_by_the_reader():
    (group,) = unexplained(Book(LAST), [Failure(reply_from("550 Rule 17"))])
    assert any("every page has 'title:'" in problem for problem in read_chapter("10.yaml", group.skeleton)[1])


@pytest.mark.parametrize("words", ["", "17", "4.2"])
def test_no_page_is_made_where_no_words_stay(words):
    (group,) = unexplained(Book(LAST), [Failure(reply_from(f"550 {words}"))])
    assert not group.skeleton


def test_the_most_frequent_form_comes_first():
    replies = ["550 Rule 1", "550 Law 1", "550 Law 2", "551 Law 2"]
    found = unexplained(Book(LAST), [Failure(reply_from(reply), "mx.test") for reply in replies])
    assert [(group.code, str(group.form), group.count) for group in found] == [
        (550, "Law <number>", 2),
        (550, "Rule <number>", 1),
        (551, "Law <number>", 1),
    ]
