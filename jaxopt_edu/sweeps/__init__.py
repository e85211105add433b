"""Many training runs in one compiled program: the space, the engine, the results."""
