"""Judges of what a curator writes: one module a judge, and the registry that names them."""
