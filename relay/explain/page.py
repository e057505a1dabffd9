"""One entry of the book, the conditions under which it speaks, and the entry filled in for one failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.explain.phrases import IN_ENGLISH
from relay.explain.reason import OF_LOGINS, Reason, Retry, Who
from relay.languages import ENGLISH
from relay.smtp import Phase

if TYPE_CHECKING:
    from relay.explain.failure import Failure
    from relay.explain.phrases import Phrases
    from relay.smtp import Fault


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of a page. All that are given must hold; of a list, one entry is enough.

    `phases` may hold None, "the phase is not known". The patterns (`text`, `not_text`, `upstream`) are RE2, without
    regard to case; the rest is compared as `relay.explain.conditions` says.
    """

    phase: tuple[Phase | None, ...] = ()
    code: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    not_text: tuple[str, ...] = ()
    fault: tuple[Fault, ...] = ()
    upstream: tuple[str, ...] = ()
    server: tuple[str, ...] = ()
    login: bool | None = None
    tls: bool | None = None
    null_sender: bool | None = None
    same_sender: bool | None = None
    utf8: bool | None = None
    eight_bit: bool | None = None
    size_over_limit: bool | None = None
    recipients_over: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One condition a message can fail in, as the book tells it; `title` to `more` may hold {placeholders}."""

    id: str
    reason: Reason
    title: str
    meaning: str
    advice: str
    who: Who
    retry: Retry
    when: When
    more: str = ""
    source: str = ""
    examples: tuple[str, ...] = ()
    retired: str = ""
    language: str = ENGLISH  # of the words

    @property
    def words(self) -> dict[str, str]:
        """What can be translated, by key."""
        found = {"title": self.title, "meaning": self.meaning, "advice": self.advice, "more": self.more}
        return {key: words for key, words in found.items() if words}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A page filled in for one failure: what is told."""

    page: Page
    failure: Failure
    title: str
    meaning: str
    advice: str
    more: str = ""
    phrases: Phrases = IN_ENGLISH  # the fixed words in the page's language

    @property
    def id(self) -> str:
        """The id of the page."""
        return self.page.id

    @property
    def reason(self) -> Reason:
        """The reason the page names; `Reason.UNDEFINED` where the reply does not tell."""
        return self.page.reason

    @property
    def of_own_login(self) -> bool:
        """Whether this is about the relay's own login, which pages take for that of whoever sends."""
        reply = self.failure.reply
        of_login = reply.phase is Phase.AUTH or self.page.reason in OF_LOGINS
        return bool(self.failure.own_login) and of_login and reply.fault is None

    @property
    def who(self) -> Who:
        """Whose move it is."""
        its_user = self.of_own_login and self.page.who in (Who.SENDER, Who.SOFTWARE)
        return Who.SENDER_ADMIN if its_user else self.page.who

    @property
    def retry(self) -> Retry:
        """Whether sending again unchanged helps: LATER or NO, never BY_CODE."""
        if self.page.retry is not Retry.BY_CODE:
            return self.page.retry
        return Retry.LATER if self.failure.reply.transient else Retry.NO
