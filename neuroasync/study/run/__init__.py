"""Running a study: samples, trainings and measurements."""
