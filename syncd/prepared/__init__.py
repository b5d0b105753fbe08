"""What syncd answers from tables made beforehand: a Tab, and --help. Imports neither click nor a
command: these take longer than a person wants to wait for either.
"""
