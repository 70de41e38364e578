"""Floor 6: command line, MLflow tracking, report."""
