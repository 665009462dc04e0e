"""Kernels that read messages of untrusted content."""
