"""Tests of networks under stress."""
