"""A workbench in the browser: drop a sherd, look at it, place it, restore its pot, measure.

It is a server for one user on their own machine: it listens on 127.0.0.1 only, answers only who
knows a token, and asks nobody else for anything.
"""
