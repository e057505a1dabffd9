"""The bench: that its statistics are right, its page says what was measured, and its generator and sink agree."""

from __future__ import annotations

import json
import shutil
from operator import attrgetter

import pytest

from benchmarks.figures import Comparison, Figure, IdleCost, Results, Run
from benchmarks.generators import LoadError
from benchmarks.goals import GOALS, Goal, lane
from benchmarks.loads import LOGIN, Lane, run, sink
from benchmarks.lookups import read_replies
from benchmarks.peers import Target
from benchmarks.report import as_json, figure, markdown, number, table
from benchmarks.workloads import ACCEPTED, REFUSED, W1, Load

rate = attrgetter("rate")


def runs(*rates: float) -> tuple[Run, ...]:
    return tuple(Run(messages=int(each), seconds=1.0, cpu_seconds=each / 10_000, rss_mib=40 + each) for each in rates)


def test_a_figure_is_the_median_with_its_bounds():
    assert Figure.of([3, 1, 2]) == Figure(2, 1, 3)
    assert Figure.of([4, 1, 2, 3]) == Figure(2.5, 1, 4)


def test_no_runs_are_no_figure():
    with pytest.raises(ValueError, match="found no values"):
        Figure.of([])


def test_a_run_tells_rate_and_cost_of_a_message():
    one = Run(messages=500, seconds=2.0, cpu_seconds=0.1)
    assert one.rate == 250
    assert one.cpu_ms == pytest.approx(0.2)


def test_ratios_are_taken_within_each_round():
    # The machine was half as fast in the second round, for both: the ratio does not change.
    found = Comparison("W1", {"relay": runs(400, 200, 420), "direct": runs(1000, 500, 1000)})
    assert found.ratio("relay", "direct", rate) == Figure(0.4, 0.4, 0.42)


def test_ratios_of_unequal_rounds_are_a_mistake():
    found = Comparison("W1", {"relay": runs(400), "direct": runs(1000, 500)})
    with pytest.raises(ValueError, match="zip"):
        found.ratio("relay", "direct", rate)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "-"), (0.04567, "0.0457"), (1.234, "1.23"), (45.67, "45.7"), (4567.8, "4,568")]
)
def test_numbers_have_three_digits_that_count(value, shown):
    assert number(value) == shown


def test_a_figure_that_was_not_measured_is_a_hyphen():
    assert figure(Figure(0, 0, 0)) == "-"
    assert figure(Figure(2, 1, 3)) == "2 (1-3)"


def test_a_table_has_its_numbers_on_the_right():
    assert table(("way", "rate"), [("relay", "1")]) == "| way | rate |\n| --- | ---: |\n| relay | 1 |"


@pytest.mark.parametrize(
    ("at_most", "value", "verdict"),
    [
        (False, 0.6, "aim"),
        (False, 0.5, "aim"),
        (False, 0.4, "must"),
        (False, 0.3, "**missed**"),
        (True, 0.3, "aim"),
        (True, 0.4, "**missed**"),
    ],
)
def test_goals_are_judged_in_their_own_direction(monkeypatch, at_most, value, verdict):
    must, aim = (0.35, 0.3) if at_most else (0.35, 0.5)
    goal = Goal("a goal", lambda *_: value, must, aim, at_most=at_most)
    monkeypatch.setattr("benchmarks.report.GOALS", (goal,))
    assert f"| {verdict} |" in markdown(Results({}))


def test_each_goal_without_its_measurement_says_so():
    assert markdown(Results({})).count("not measured |") == 2 * len(GOALS)  # once for the compiled relay


def results() -> Results:
    side_by_side = Comparison(
        W1.title,
        {"direct": runs(1000, 1000), "relay": runs(400, 500)},
        {"Haraka smtp_proxy": "not installed"},
        (("relay", "direct"),),
    )
    lanes = {lane("relay", ACCEPTED.title): runs(100, 100), lane("relay", REFUSED.title): runs(80, 90)}
    return Results(
        {"cores": "2"},
        {"W1": side_by_side, "refusals": Comparison("refused", lanes)},
        (IdleCost("relay", 1000, 5.5, 9.0, 60.0),),
        {"relay explain 421, CPU s": Figure(0.25, 0.2, 0.3)},
        {"TLS": "openssl is not installed"},
    )


def test_the_page_holds_what_was_measured():
    page = markdown(results())
    assert "| relay | 450 (400-500) | 0.1 (0.1-0.1) | 0.45 (0.4-0.5) | 540 | - |" not in page  # PSS was not measured
    assert "| relay | 450 (400-500) | 0.1 (0.1-0.1) | 0.45 (0.4-0.5) | 540 |" in page
    assert "| relay / direct | 0.45 (0.4-0.5) |" in page
    assert "| relay | 1,000 | 5.5 | 9 | 60 |" in page
    assert "| relay explain 421, CPU s | 0.25 (0.2-0.3) |" in page


def test_the_page_names_what_was_not_measured():
    page = markdown(results())
    assert "- Haraka smtp_proxy: not installed" in page
    assert "- TLS: openssl is not installed" in page


def test_the_page_judges_what_was_measured():
    page = markdown(results())
    assert "| W1, share of direct | >= 0.35 | >= 0.5 | 0.45 | must | - | not measured |" in page
    assert "| sessions refused and explained, by sessions accepted | >= 0.7 | >= 0.7 | 0.85 | aim |" in page
    assert "| an idle session, KiB | <= 12 | <= 6 | 5.5 | aim |" in page


def test_the_json_holds_every_run():
    found = json.loads(as_json(results()))
    assert [one["messages"] for one in found["comparisons"]["W1"]["runs"]["relay"]] == [400, 500]


def test_replies_are_read_from_a_file(tmp_path):
    file = tmp_path / "replies.tsv"
    file.write_text('id\tcode\tecode\ttext\tphase\n1\t550\t5.1.1\tUser "unknown\trcpt\n2\t421\t\tBusy\tdata-end\n')
    first, second = (failure.reply for failure in read_replies(file))
    assert (first.code, first.status, first.text, first.phase) == (550, "5.1.1", 'User "unknown', "rcpt")
    assert (second.code, second.phase) == (421, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reply\n550 no\n", r"expected one named text"),
        ("code\ttext\n", "found no reply"),
        ("", "expected one named text"),
    ],
)
def test_a_file_without_replies_is_named(tmp_path, text, words):
    file = tmp_path / "replies.tsv"
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as raised:
        read_replies(file)
    assert str(file) in str(raised.value)


needs_a_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here, which the generator needs")


@needs_a_compiler
@pytest.mark.parametrize(
    "load",
    [W1, Load("kept", kept=True, sessions=3), Load("large", sessions=2, length=3_000_000), ACCEPTED, REFUSED],
    ids=lambda load: load.title,
)
def test_the_sink_counts_what_the_generator_sends(tmp_path, load):
    with sink(tmp_path / "sink") as taken:
        found = run(Lane("direct", Target("direct", taken.port), load), taken, seconds=0.05)
        assert found.messages > 0
        assert taken.messages() == (found.messages if load.arrives else 0)


@needs_a_compiler
@pytest.mark.parametrize(("login", "said"), [("", "MAIL: 530"), ("AGFhYWEAYmJiYg==", "AUTH: 535")])
def test_a_login_that_is_demanded_is_checked(tmp_path, login, said):
    with sink(tmp_path / "sink", LOGIN) as taken:
        direct = Target("direct", taken.port)
        with pytest.raises(LoadError, match=said):
            run(Lane("direct", direct, W1, login), taken, seconds=0.05)
        assert run(Lane("direct", direct, W1, LOGIN), taken, seconds=0.05).messages == taken.messages()


@needs_a_compiler
def test_an_unexpected_reply_ends_the_load(tmp_path):
    with sink(tmp_path / "sink") as taken:
        refused = Lane("direct", Target("direct", taken.port), Load("refused", recipient="refused@example.com"))
        with pytest.raises(LoadError, match=r"RCPT: 550 5\.1\.1"):
            run(refused, taken, seconds=0.05)
