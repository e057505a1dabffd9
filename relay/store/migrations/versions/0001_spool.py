"""The spool: letters, their recipients, their octets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; what each column means stands in relay/store/tables.py."""
    op.create_table(
        "letter",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("sender", sa.LargeBinary, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("login", sa.LargeBinary),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.Column("due", sa.Float(53), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("notified", sa.Boolean, nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("lease", sa.Float(53)),
    )
    op.create_index("letter_due", "letter", ["state", "due"])
    op.create_table(
        "recipient",
        sa.Column("letter", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("parameters", sa.LargeBinary, nullable=False),
        sa.Column("phase", sa.String(8), nullable=False),
        sa.Column("code", sa.SmallInteger, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
        sa.Column("fault", sa.String(32)),
    )
    op.create_table(
        "chunk",
        sa.Column("letter", sa.String(16), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Remove the tables."""
    for name in ("chunk", "recipient", "letter"):
        op.drop_table(name)
