"""The reference trainer in plain torch, which runs on any device."""
