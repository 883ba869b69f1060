"""Models behind the API of OpenAI: `[model] kind = "openai"`."""
