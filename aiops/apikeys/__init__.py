"""Who may call the API: keys, their roles and scopes, and the caller that a request carries."""
