"""Bundles as graphs of NIR."""
