"""The command line: `jaxopt-edu race | list | show NAME`."""

from jaxopt_edu.cli.main import main

__all__ = ["main"]
