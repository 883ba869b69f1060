"""Pure functions from data to lines of text.

`text`   styled lines, and untrusted text made safe for a terminal
`diff`   the difference of two texts
`chart`  curves and bars in characters
"""
