"""What tools do: execute, cancel, tell, list, reconcile."""
