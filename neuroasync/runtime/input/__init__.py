"""The input of a session: events are checked, converted and merged, in a thread if many."""
