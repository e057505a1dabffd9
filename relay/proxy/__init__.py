"""The conversation with a client, now. Home of aiosmtpd."""
