"""``neuroasync watch``: decide on the events of a camera while they arrive.

============ ===================================================================
command      the command and its options
event_input  the source that the options describe, and what it has lost
windows      counts the events of each window
display      the line on a terminal, lines of text, lines of JSON
============ ===================================================================
"""
