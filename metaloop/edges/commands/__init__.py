"""One module per command of the ``metaloop`` command line."""
