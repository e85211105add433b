"""What the claims about numbers rest on: each module is run with `python -m tests.benchmarks.<name>`."""
