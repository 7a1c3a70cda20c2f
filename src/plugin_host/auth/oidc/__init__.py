"""Signing in with another provider: OpenID Connect, or plain OAuth 2. We are a client and never a provider."""
