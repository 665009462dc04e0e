"""Decisions over time: of the samples of a data set, and of a stream."""
