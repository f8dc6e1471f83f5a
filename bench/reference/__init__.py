"""What the product is measured against: most Django APIs (`stock`) and the best that Python can do (`floor`)."""
