"""The server behind us; whatever happens there, the answer is a Reply. Home of aiosmtplib."""
