"""The panes and bars that the screens are made of. `pane` is the base of all; `listing` that of panes with a cursor."""
