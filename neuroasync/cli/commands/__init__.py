"""The commands, one module or package each: their options, their help and what they do."""
