"""Members that are people: a question in a file, an answer from the command line, a deadline."""
