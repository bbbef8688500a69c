"""The `interceptors` cli."""
