"""Models of Anthropic, Gemini and others through any-llm-sdk: `[model] kind = "anyllm"`. Needs the extra `anyllm`."""
