"""Presenting a study: tables, figures and documents."""
