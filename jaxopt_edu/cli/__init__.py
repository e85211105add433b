"""The command line: `jaxopt-edu race | sweep | textbook | list | show NAME`."""

from jaxopt_edu.cli.main import main

__all__ = ["main"]
