"""Files to begin with: an entry that runs as it is, of which a researcher changes the equations."""
