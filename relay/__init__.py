"""explaining-relay: an SMTP relay that passes mail on live and explains every refusal.

The story in one breath: *hear, pass on, understand, answer, remember.* A client speaks SMTP to us; every command is
passed on, live, to the server behind us (the **upstream**); its reply comes back untouched if it is good; if it is a
4xx or 5xx it is **understood** (looked up in the book of explanations), **answered** in words a person can act on,
under the same code, and **remembered** in the log::

    client        RCPT TO:<bob@b.test>
      |
    proxy         one client's conversation, passed on command by command
      |
    upstream      RCPT TO:<bob@b.test>  ->  the server behind says "550 5.1.1 User unknown"
      |           (had it said nothing: a Reply made for the Fault TIMEOUT - same type, same path)
    proxy         reply.ok?  yes: hand it back untouched.   no:
      |
    explain       Failure  ->  book: page "user-unknown"  ->  Explanation  ->  the lines of the reply
      |
    record        one log event               (does not wait, cannot fail the client)
      |
    client        550-5.1.1 The address bob@b.test does not exist at b.test. ...

Straight down, once: no event bus, no plug-in registry, no call-backs up. The types that cross a folder are `Reply`
(heard), `Failure` (happened), `Explanation` (told). A silent or broken peer is *given* a Reply with its `Fault`, so
nothing downstream has two cases. The book explains, the code decides: nothing follows from a sentence.

The parts, and who may import whom (a part imports only parts further right; those joined by | never each other)::

    cli  >  supervisor  >  app  >  parts  >  proxy | practice  >  upstream | record | edition | kept  >  explain
         >  config  >  smtp, networks, deadlines, languages

- `smtp`      the words of SMTP: Phase, Fault, Reply, paths, capabilities, the message scanner. Pure.
- `explain`   from a failed reply to words a person can act on: the book, its pages, the lines of a reply. Pure.
- `upstream`  the server behind us; whatever happens, the answer is a Reply. Home of aiosmtplib.
- `proxy`     the conversation with a client, now. Home of aiosmtpd. `server` is the wire, `session` the conversation,
              `transaction` one mail on its way, `body` its octets, `login` a login passed through.
- `retry`     temporary failures, tried again: while the client waits, or later from the spool. Off unless configured;
              nothing imports it but `later` (which builds it from the settings, and is loaded only then) and the
              command `relay queue`. Its transactions are kinds of the proxy's, handed in with the listener.
- `store`     the database of the spool: engine, tables, migrations. Home of SQLAlchemy and alembic.
- `record`    what happened, kept and shown.
- `edition`   the whole book for readers: as text, as pages for a browser.
- `kept`      what was parsed of the book before, on disk by the hash of its text.
- `config`    what the operator may choose: read once, checked, frozen.
- `practice`  an upstream that refuses by name, for people and for tests. Made of aiosmtpd as it is.
- `parts`     from the settings to what each part is told of them.
- `app`       builds every part from the settings, runs them, stops them in order.
- `supervisor` with several workers: forks them, watches them, passes signals on. What they share (sockets, counters,
              who is connected) is made before they are, and each writes to a row of its own: nothing is locked.

The book is read once: `explain.reading` the files, `chapter` one English chapter with its conditions, `translation` the
words of another language. `book` looks a failure up, `fill` puts into the page what is known of it, `render` makes the
reply, with the fixed words of `phrases`. `proofs` says what is wrong with pages; `unexplained` which are wanting.

The engine is one path: a client's octets are worked on in `data_received`, straight through session and transaction to
the upstream's transport, and a reply the same way back. Both sides write at the end of a round of the loop, all that
was said in it in one piece. A task is made only where something must be awaited: a connection, a login, a handshake.
Waits are deadlines that one timer looks at.
"""
