"""The depth-first search on polytopes with vertices: polygons as rings, others by incidence."""
