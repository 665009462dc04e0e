"""The simulator, its settings, and the memory in which it runs."""
