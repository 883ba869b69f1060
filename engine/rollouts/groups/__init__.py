"""Groupings: which tasks make a training group, and in which order. One module a grouping; `registry` names them."""
