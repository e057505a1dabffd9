"""From the operator's words to Settings: defaults < file < environment < flags, all mistakes at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from relay.config.document import read_document
from relay.config.findings import problems_in
from relay.config.given import Given
from relay.config.kinds import seen, trouble_with
from relay.config.places import shipped
from relay.config.problem import Problem, SettingsError
from relay.config.settings import Settings
from relay.config.sources import Flags, from_environment, from_flags, variables, with_secrets_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USUAL_PLACES = (Path("relay.yaml"), Path("/etc/explaining-relay/relay.yaml"))


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was given, before it is judged."""

    given: Given
    problems: tuple[Problem, ...]
    sources: tuple[str, ...]  # what was read, lowest first, for `relay check`
    need_upstream: bool  # not so where the relay starts an upstream of its own

    def settings(self) -> Settings:
        """Judge it.

        Raises:
            SettingsError: with every mistake in it.
        """
        problems = list(self.problems)
        settings = None
        try:
            settings = Settings.model_validate(self.given.plain())
        except ValidationError as error:
            problems.extend(problems_in(error, self.given))
        if self.need_upstream and not self.given.find(("upstream", "url")) and not _may_hide_url(problems):
            problems.append(_NO_UPSTREAM)
        if settings is None or problems:
            raise SettingsError(problems)  # outside `except`: the values in pydantic's error must not travel along
        return settings


_NO_UPSTREAM = Problem(
    "the settings",
    "upstream.url",
    "the server that mail is passed on to",
    "nothing",
    "set upstream.url in relay.yaml, RELAY_UPSTREAM__URL or --upstream smtp://mail.example.com:587; or try --practice",
)


def _may_hide_url(problems: list[Problem]) -> bool:
    """Whether the upstream was perhaps given, and is only unreadable: then its lack would be a mistake too many."""
    return any(not problem.key or problem.key.startswith("upstream") for problem in problems)


def load(config: Path | None, flags: Flags, environ: Mapping[str, str]) -> Settings:
    """Read the settings from all sources and check them.

    Args:
        config: the file named by --config; None looks into the usual places.
        flags: what the command line overrides.
        environ: the environment.

    Raises:
        SettingsError: its text names every mistake, its place, what was expected, and the cure.
    """
    return gather(config, flags, environ).settings()


def gather(config: Path | None, flags: Flags, environ: Mapping[str, str]) -> Gathered:
    """Read all sources and lay each over the one before, without judging the values."""
    path = config or next((place for place in USUAL_PLACES if seen(place.is_file)), None)
    given = Given({}, "the settings")
    problems: list[Problem] = []
    for source, broken in (_from_file(path), from_environment(environ), from_flags(flags)):
        opened, unread = with_secrets_read(source)
        given = given.under(opened)
        problems.extend((*broken, *unread))
    return Gathered(given, tuple(problems), tuple(_sources(path, flags, environ)), not flags.practice)


def _from_file(path: Path | None) -> tuple[Given, tuple[Problem, ...]]:
    if path is None:
        return Given({}, ""), ()
    try:
        text = path.read_text("utf-8-sig")
    except OSError:
        return Given({}, ""), (Problem(str(path), "", "a settings file that can be read", cure=trouble_with(path)),)
    except ValueError:
        return Given({}, ""), (Problem(str(path), "", "a text file in UTF-8", "octets that are not UTF-8"),)
    given, problems = read_document(text, str(path))
    if not given.is_section:
        shape = Problem(
            given.place, "", "sections with keys, such as upstream: with url: below it", "a list or mere text"
        )
        return Given({}, ""), (*problems, shape)
    return given, problems


def _sources(path: Path | None, flags: Flags, environ: Mapping[str, str]) -> Iterator[str]:
    yield "built-in defaults"
    here, system = USUAL_PLACES
    none = f"no file: there is neither {here} here nor {system}; every setting is described in {shipped() / here}"
    yield str(path.absolute()) if path else none
    yield from (f"environment variable {name}" for name in variables(environ))
    if flags != Flags():
        yield "flags of this command"
