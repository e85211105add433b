"""How the folders stand up to kills, damage, full disks and company: `python -m tests.stress`."""
