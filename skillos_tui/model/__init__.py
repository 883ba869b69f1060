"""The state that the screens show, without widgets.

`view`       one run: a fold over its events
`episodes`   the newest episodes of one rollout
`decisions`  the decisions that were taken here
`news`       what happened since the last visit
`keyguard`   which keys may act
`session`    what is kept between two starts
"""
