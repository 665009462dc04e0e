"""The simulator, the settings that it runs with, and the memory that it runs in."""
