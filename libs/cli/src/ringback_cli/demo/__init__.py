"""Three spoken calls through a whole stack, watched live and checked afterwards."""
