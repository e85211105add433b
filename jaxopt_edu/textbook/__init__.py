"""The textbook that runs: claims, experiments, what they gave, and the page that shows it."""
