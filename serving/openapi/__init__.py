"""The description of the API: what the framework leaves out of its OpenAPI document, examples, and the page of it."""
