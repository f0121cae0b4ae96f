"""The caller's side: WebSockets in, and the admin service."""
