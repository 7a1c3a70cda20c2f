"""From a request to a plugin's function and back: edge, dispatcher, one Litestar application a plugin, gate."""
