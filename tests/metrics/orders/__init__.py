"""Tests of one network in many orders."""
