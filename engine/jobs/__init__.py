"""What a run can do: one package a kind of run, and the registry that names them."""
