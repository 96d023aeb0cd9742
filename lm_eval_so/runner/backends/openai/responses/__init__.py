"""The Responses API: ``backend.options.wire=responses``.

https://platform.openai.com/docs/api-reference/responses
"""
