"""What a study measured: records, statistics and files."""
