"""What runs it: from the plan of a sweep to compiled programs, and from what those give back to a result."""
