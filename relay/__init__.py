"""explaining-relay."""
