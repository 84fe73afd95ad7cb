"""A recommender, its shoppers and its staff: a customer of the control plane, by HTTP and the client only."""
