"""What a session does: listen, hold the conversation, respond."""
