"""Published data sets, each read as its publisher lays it out, brought in through the product's own doors."""
