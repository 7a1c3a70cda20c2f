"""Who people are: accounts, passwords, browser sessions, and the way from a request to an actor."""
