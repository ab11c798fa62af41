"""How long it takes, and how much memory."""
