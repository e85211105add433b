"""What is kept: the folder that a sweep goes on from, and in which its result stays."""
