"""The workbench in a browser: `skillos-tui serve [--port N] [-- OPTIONS OF THE WORKBENCH]`.

`command`      the command line, and what is said where it cannot serve
`server`       the pages and the websocket, for who has the address, from this machine and no other site
`guard`        who is refused: a wrong token, host or origin
`process`      the workbench's process behind one page
`environment`  the variables that this process gets: none that may be a secret
`page`         the page's own files; the terminal in it is textual-serve's

This package needs the extra `serve`. `skillos_tui.terminal.browser` is the driver of the workbench behind a page.
"""
