"""One module per sub-command: options and help here, the work in the packages beside."""
