"""Gates: what an edit must pass before a person sees it. One module a gate, and the registry that names them."""
