"""What every HTTP function shares: callers, bodies, answers, problems, and the document that describes them."""
