"""How catalogues and the hosts of their files are entered: keys, tokens, signatures, headers, and at what pace.

Secrets come from the environment, by the provider's name, when they are used. None is kept with a file, an item or a
task, and each that a service gives is masked from then on.
"""
