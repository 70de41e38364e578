"""``python -m metaloop``: the command, for a Python that has no ``metaloop`` beside it on its path, as in a job."""

from metaloop.edges.cli import main

if __name__ == "__main__":
    main()
