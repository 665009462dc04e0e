"""One network in many orders, and how much of a run can depend on the order."""
