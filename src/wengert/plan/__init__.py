"""What a graph costs, and the cache of compiled specialisations."""
