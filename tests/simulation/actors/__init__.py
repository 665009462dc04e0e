"""The users of a simulated network."""
