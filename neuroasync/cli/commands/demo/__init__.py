"""The demo: shipped networks under every policy, as a table and figures."""
