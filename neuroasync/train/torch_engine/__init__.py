"""The reference trainer in plain torch, for any device."""
