"""The wire: uvicorn's protocol with limits, for `plugin-host serve`. What is below HTTP's surface is decided here."""
