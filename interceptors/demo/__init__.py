"""The `interceptors` demo."""
