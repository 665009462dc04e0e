"""The input as data: spike trains, windows, segments."""
