"""``neuroasync watch``: decide on the events of a camera while they arrive.

============ ===================================================================
command      the command and its options
event_input  opens the source that the options describe, and counts lost events
windows      counts the events of each window
display      the line on a terminal, lines of text, lines of JSON
============ ===================================================================
"""
