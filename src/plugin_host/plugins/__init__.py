"""From what is installed to what runs: discover, read, resolve, activate. Each step is a module of its own."""
