"""Fuzzing: every reader of the package gets damaged input, and only documented errors may result.

``python -m tests.fuzzing --help`` starts longer runs; the ordinary tests replay the corpus.
"""
