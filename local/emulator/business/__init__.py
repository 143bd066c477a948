"""Store for Business: three organisations, their products and seats."""
