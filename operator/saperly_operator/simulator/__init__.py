"""The Saperly API as a faithful server: a sans-I/O core, and an HTTP shell around it."""
