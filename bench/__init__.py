"""Latency benchmarks: questions about speed, each with a checked result and a baseline."""
