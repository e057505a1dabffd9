'use strict'
// Haraka takes no recipient unless a plugin says so; the verdict is the upstream's (rcpt_ok of queue/smtp_proxy).
exports.hook_rcpt = (next, connection) => {
    connection.relaying = true
    next(OK)
}

// No reverse look-up of each client in the DNS.
exports.hook_lookup_rdns = (next) => next(OK, 'localhost')
