"""What happened, kept and shown."""
