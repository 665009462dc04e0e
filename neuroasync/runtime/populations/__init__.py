"""Populations that run as coroutines."""
