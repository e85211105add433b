"""The chapters, in the order in which the story is told."""
