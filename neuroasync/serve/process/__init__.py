"""Server processes: a supervisor and its workers."""
