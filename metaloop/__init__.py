"""metaloop: run, measure and evolve research organizations written in Markdown.

The package is built in floors (``docs/architecture.md``); a module imports only floors below its own.
"""

__version__ = "0.1.0"
