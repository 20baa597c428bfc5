"""The receiver under its former name, which pods of older releases call."""
