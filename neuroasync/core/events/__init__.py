"""The input as data: spike trains, windows and segments."""
