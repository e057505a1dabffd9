"""What outlives the relay: the database engine, its tables, their migrations. Home of SQLAlchemy and alembic."""

from relay.store.engine import Store, StoreError, open_store, reason_of
from relay.store.tables import chunks, epoch, letters, recipients

__all__ = ["Store", "StoreError", "chunks", "epoch", "letters", "open_store", "reason_of", "recipients"]
