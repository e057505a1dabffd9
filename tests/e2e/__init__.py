"""Real servers and real mail programs: what the relay is for, without one fake between the two ends."""
