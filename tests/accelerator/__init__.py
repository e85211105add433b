"""What an accelerator is to show: that the contracts hold on it, and how fast it is there.

    python -m tests.accelerator

One command and one table, in under ten minutes; on a CPU it is a small run that shows that the command works.
"""
