"""The two conversations that session keeps apart: what the client sees, what the model sees. Pure."""
