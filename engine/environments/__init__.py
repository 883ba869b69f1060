"""What agents act in: one package an environment, and the registry that names them."""
