"""One websocket connection: its messages, samples and decisions."""
