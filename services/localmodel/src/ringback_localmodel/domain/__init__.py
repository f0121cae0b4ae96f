"""Pure rules: audio turns, the conversation as a brain sees it, and the dialogue brain."""
