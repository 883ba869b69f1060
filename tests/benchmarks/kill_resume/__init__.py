"""Engines killed with SIGKILL at random points, resumed, and compared with one that nobody killed."""
