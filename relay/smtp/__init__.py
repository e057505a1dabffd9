"""The words of SMTP, free of any wire: what is said, in which phase, and what went wrong instead.

`Reply` is what was heard, `Fault` why nothing (or nothing usable) was heard or why the relay refused by itself.
A silent or broken peer is *given* a Reply with its Fault, so nothing that comes after has two cases.
"""

from relay.smtp.fault import Fault, outcome_unknown, reply_for
from relay.smtp.reply import Phase, Reply

__all__ = ["Fault", "Phase", "Reply", "outcome_unknown", "reply_for"]
