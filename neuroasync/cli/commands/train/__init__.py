"""``neuroasync train``: its options, configuration files, and the command itself."""
