"""Runs migrations inside the transaction of whoever asks for them (relay/store/engine.py); what alembic looks for."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
