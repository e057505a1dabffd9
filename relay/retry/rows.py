"""Letters as rows of the database, and rows as letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.retry.letter import Kind, Letter, Recipient
from relay.smtp import Fault, Phase, Reply
from relay.smtp.command import Path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import RowMapping


def letter_row(letter: Letter, state: str, wait: float) -> dict[str, Any]:
    """The row of a new letter; `wait` is how many seconds it is not due yet."""
    return {
        "id": letter.id,
        "kind": letter.kind.value,
        "state": state,
        "sender": letter.sender.octets,
        "parameters": letter.sender.parameters,
        "size": letter.size,
        "login": letter.login,
        "wait": wait,
    }


def recipient_rows(letter: Letter) -> Iterator[dict[str, Any]]:
    """The rows of those it has not reached."""
    for number, path, said in letter.recipients:
        words = {"letter": letter.id, "number": number, "path": path.octets, "parameters": path.parameters}
        yield words | said_row(said)


def said_row(said: Reply) -> dict[str, Any]:
    """A reply, as the columns of a recipient's row."""
    phase = said.phase.value if said.phase else ""
    fault = said.fault.value if said.fault else None
    return {"phase": phase, "code": said.code, "words": b"\n".join(said.lines), "fault": fault}


def letter_of(row: RowMapping, recipients: Iterable[RowMapping]) -> Letter:
    """A letter that was taken out."""
    return Letter(
        id=row["id"],
        kind=Kind(row["kind"]),
        sender=Path(bytes(row["sender"]), bytes(row["parameters"])),
        size=row["size"],
        recipients=tuple(map(_recipient_of, recipients)),
        login=row["login"],
        age=row["age"],
        attempts=row["attempts"],
        notified=bool(row["notified"]),
    )


def _recipient_of(row: RowMapping) -> Recipient:
    phase = Phase(row["phase"]) if row["phase"] else None
    fault = Fault(row["fault"]) if row["fault"] else None
    said = Reply(phase, row["code"], tuple(bytes(row["words"]).split(b"\n")), fault)
    return Recipient(row["number"], Path(bytes(row["path"]), bytes(row["parameters"])), said)
