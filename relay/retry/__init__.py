"""Temporary failures, tried again: while the client waits, or later from a durable spool.

Off unless configured; nothing imports it but `app` and `relay queue`. `patient` is a mail that is passed on one command
at a time, so that any of them can be repeated; `inline` repeats while the client waits; `deferring` accepts for the
spool what failed for now. `spool` keeps letters, `worker` takes what is due and delivers it, `bounce` writes to the
sender when that failed for good, `schedule` says when. The rules:

- What the upstream takes or refuses for good is answered live. Only a 4xx, or an upstream that cannot be reached, is
  tried again; never a message whose outcome is unknown.
- In the spool go only the recipients that were not reached. 250 to the final dot is said when the upstream has taken
  the message for those it accepted live, and the letter for the others is on the disk.
- A mail has one verdict. Where some recipients are live and others deferred, the letter is written before the dot goes
  up, as `pending`: not promised to anybody. A 2xx of the upstream makes it a promise; with a 4xx, all recipients are
  deferred; a 5xx, or an unknown outcome, refuses the mail as a whole and the letter is dropped, so that the client may
  send it again and nobody gets it twice. A pending letter that nobody decided (the relay was killed) is dropped too.
"""
