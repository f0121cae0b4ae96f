"""The WebSocket server: connections, admission, health."""
