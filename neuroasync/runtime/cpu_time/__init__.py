"""The CPU time of sessions: who runs when, for how long, and how much each one has used."""
