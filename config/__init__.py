"""Stack config: every section as one model, how it is read, and the sentences about mistakes in it. Imports no other room."""
